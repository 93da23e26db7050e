"""Commands that make artefacts: thresholds, isotypes, plausibility networks, released weights.

Run them from the repository root, as ``python -m workshop.NAME``. Nothing in ``src`` imports this package.
"""
