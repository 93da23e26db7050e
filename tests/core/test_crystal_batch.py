"""Crystals as flat arrays: against the crystals themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.core.batch import Flat
from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError


def crystal(labels: list[int], generator: np.random.Generator) -> Crystal:
    """A crystal whose atoms lie on the sites given, numbered by their first atoms."""
    number: dict[int, int] = {}
    orbits = np.array([number.setdefault(label, len(number)) for label in labels], np.int32)
    elements = generator.integers(1, 90, len(number)).astype(np.uint8)
    sites = tuple(f"X{i}" for i in range(len(number)))
    return Crystal("x", np.eye(3), generator.random((len(labels), 3)), elements[orbits], orbits, sites)


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=9), min_size=1, max_size=6), st.integers(0, 99)
)
@settings(max_examples=60, deadline=None)
def test_what_each_crystal_says_of_itself(labels: list[list[int]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    crystals = [crystal(some, generator) for some in labels]
    flat = Flat.of(crystals)
    numbers = flat.site_numbers
    for place, one in enumerate(crystals):
        atoms = slice(*flat.offsets[place : place + 2])
        sites = slice(*flat.site_offsets[place : place + 2])
        np.testing.assert_array_equal(flat.lattices[place], one.lattice)
        np.testing.assert_array_equal(flat.fractional[atoms], one.fractional)
        np.testing.assert_array_equal(flat.orbits[atoms], one.orbits)
        np.testing.assert_array_equal(flat.own[sites], one.representatives)
        np.testing.assert_array_equal(flat.multiplicities[sites], one.multiplicities)
        np.testing.assert_array_equal(numbers[sites], one.site_numbers)


def test_what_cannot_be_laid_flat() -> None:
    good = crystal([0, 1, 1], np.random.default_rng(0))
    with pytest.raises(InputError, match="at least one"):
        Flat.of([])
    for orbits in ([1, 0, 0], [0, 0, 0], [0, 2, 2]):
        with pytest.raises(InputError, match="order of their first atoms"):
            Flat.of([good, replace(good, orbits=np.array(orbits, np.int32))])
