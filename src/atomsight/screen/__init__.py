"""Structures judged: wrong elements in published ones, and candidates put in order."""

from __future__ import annotations
