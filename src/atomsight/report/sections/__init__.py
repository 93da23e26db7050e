"""Sections of a report: one module for each type of folder, and one for the references."""
