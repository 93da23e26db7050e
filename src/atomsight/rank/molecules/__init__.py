"""Contacts, packing and cohesion of molecular crystals."""
