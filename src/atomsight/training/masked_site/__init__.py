"""Training and export of the masked-site network."""
