"""Several crystals as flat arrays, so that one call of a kernel handles all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.errors import InputError


class Flat(NamedTuple):
    """Concatenated arrays of c crystals, with N atoms of their motifs and M sites in all.

    Attributes:
        lattices: (c, 3, 3) rows are cell vectors, Å.
        fractional: (N, 3).
        numbers: (N,) uint8 atomic numbers.
        orbits: (N,) int32, the site of each atom, counted within its crystal.
        offsets: (c + 1,) int64, where the atoms of each begin.
        own: (M,) int64, the first atom of each site, counted within its crystal.
        site_offsets: (c + 1,) int64, where the sites of each begin.
        multiplicities: (M,) int64, how many copies of each site its cell holds.
    """

    lattices: NDArray[np.float64]
    fractional: NDArray[np.float64]
    numbers: NDArray[np.uint8]
    orbits: NDArray[np.int32]
    offsets: NDArray[np.int64]
    own: NDArray[np.int64]
    site_offsets: NDArray[np.int64]
    multiplicities: NDArray[np.int64]

    @classmethod
    def of(cls, crystals: Sequence[Crystal]) -> Flat:
        """Concatenate the arrays of crystals.

        Args:
            crystals: one or more.

        Returns:
            The arrays.

        Raises:
            InputError: there is none, or the orbits of one are not numbered by their first atoms.
        """
        if not crystals:
            raise InputError("crystals: expected at least one")
        atoms = [len(crystal.numbers) for crystal in crystals]
        offsets, site_offsets = _bounds(atoms), _bounds([len(crystal.labels) for crystal in crystals])
        orbits = _joined([crystal.orbits for crystal in crystals])
        # With numbers that continue from crystal to crystal, a site begins where the running maximum rises.
        sites = orbits + np.repeat(site_offsets[:-1], atoms)
        own = np.diff(np.maximum.accumulate(sites), prepend=-1).nonzero()[0]
        if len(own) != site_offsets[-1] or (sites[own] != np.arange(len(own))).any():
            raise InputError("crystals: orbits must be numbered in the order of their first atoms")
        return cls(
            np.stack([crystal.lattice for crystal in crystals]),
            _joined([crystal.fractional for crystal in crystals]),
            _joined([crystal.numbers for crystal in crystals]),
            orbits,
            offsets,
            own - np.repeat(offsets[:-1], np.diff(site_offsets)),
            site_offsets,
            np.bincount(sites, minlength=len(own)),
        )

    @property
    def site_numbers(self) -> NDArray[np.uint8]:
        """(M,) atomic number of each site."""
        return self.numbers[self.own + np.repeat(self.offsets[:-1], np.diff(self.site_offsets))]


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _bounds(counts: list[int]) -> NDArray[np.int64]:
    return np.array([0, *accumulate(counts)], np.int64)
