"""Training and export of the two-stage network."""
