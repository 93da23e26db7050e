"""Geometry of crystals: cells, neighbours, symmetry, bonds and crystal classes."""
