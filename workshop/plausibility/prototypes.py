"""Matching of inorganic crystals to structure prototypes.

A candidate of crystal-structure prediction is often another compound's geometry with the formula's elements
(decorated prototypes: Pandey et al. 2021, 10.1016/j.patter.2021.100361). If both compounds are known and
their geometries are equal up to scale, the decorated geometry is the real crystal before its relaxation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, permutations

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.neighbours import site_surroundings

NEAREST = 12
"""Neighbours of a site by which geometries are compared."""

ALIKE, UNLIKE = 0.05, 0.10
"""Largest difference of geometries of one prototype, and smallest of two prototypes."""

SHELL = 1.3
"""Radius of the first neighbour shell, relative to the cube root of the volume per atom."""

MOST_ROLES = 5
"""Largest number of elements of a formula that is compared."""

MOST_SITES = 400
"""Largest number of sites of a structure that is compared site by site."""

MOST_ORDERS = 6
"""Largest number of permutations of elements with equal counts."""


@dataclass(frozen=True)
class Geometry:
    """A crystal scaled to unit volume per atom, with elements distinguished only by their counts.

    Attributes:
        distances: (n, k) float32, over the cube root of the volume of an atom.
        neighbours: (n, k) int64 site within the crystal.
        directions: (n, k, 3) int8, see `neighbours.directions.Surroundings`.
        role: (n,) place of the site's element in ``elements``.
        weight: (n,) float32 share of the atoms.
        elements: (r,) atomic numbers, the rarest first.
        counts: (r,) how many of each a formula unit has.
        atoms: in the cell.
    """

    distances: NDArray[np.float32]
    neighbours: NDArray[np.int64]
    directions: NDArray[np.int8]
    role: NDArray[np.int64]
    weight: NDArray[np.float32]
    elements: NDArray[np.int64]
    counts: tuple[int, ...]
    atoms: int

    @classmethod
    def of(cls, crystal: Crystal, k: int) -> Geometry:
        """Create from a crystal, with k neighbours of each site."""
        around = site_surroundings(crystal, k)
        elements, counts = np.unique(crystal.numbers, return_counts=True)
        order = np.lexsort((elements, counts))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return cls(
            (around.distances / (crystal.volume / crystal.n_atoms) ** (1 / 3)).astype(np.float32),
            around.neighbours.astype(np.int64),
            around.directions,
            place[np.searchsorted(elements, crystal.site_numbers)],
            (crystal.multiplicities / crystal.n_atoms).astype(np.float32),
            elements[order].astype(np.int64),
            tuple((counts[order] // np.gcd.reduce(counts)).tolist()),
            crystal.n_atoms,
        )


@dataclass(frozen=True)
class Matches:
    """Geometries of one crystal's stoichiometry, by whether they have its prototype.

    Attributes:
        same: pairs of a geometry's number and the order in which its roles take the crystal's elements.
        other: for some orders, the numbers of the geometries that are another prototype.
    """

    same: tuple[tuple[int, tuple[int, ...]], ...]
    other: tuple[tuple[tuple[int, ...], NDArray[np.int64]], ...]


def shape(geometry: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the description of a geometry that is compared.

    Returns:
        (r, NEAREST) logarithms of the mean distances of the sites of each role, and (r, r) share of each role
        among the near neighbours.
    """
    distances, share = _near(geometry)
    belongs = geometry.weight * (geometry.role == np.arange(len(geometry.elements))[:, None])
    belongs = belongs / belongs.sum(axis=1, keepdims=True)
    return np.log(belongs @ distances), _normal(belongs @ share)


def match_prototypes(geometries: Sequence[Geometry]) -> list[Matches]:
    """Return for each geometry which others have its prototype and which another.

    The difference of two is the larger of the root mean square difference of the logarithms and the mean
    difference of the shares, see `shape`.
    """
    buckets: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, geometry in enumerate(geometries):
        if len(geometry.counts) <= MOST_ROLES:
            buckets[geometry.counts].append(number)
    found = [Matches((), ())] * len(geometries)
    for counts, members in buckets.items():
        numbers = np.array(members)
        lengths, shares = (
            np.stack(part) for part in zip(*(shape(geometries[n]) for n in members), strict=True)
        )
        ways = orders(counts)
        for place, number in enumerate(members):
            same, different = [], []
            for way in ways:
                turned = list(way)
                length = lengths[:, turned] - lengths[place]
                difference = _difference(length, shares[:, turned][:, :, turned] - shares[place], (1, 2))
                same += [(other, way) for other in numbers[difference < ALIKE].tolist() if other != number]
                different.append((way, numbers[difference > UNLIKE]))
            found[number] = Matches(tuple(same), tuple(different))
    return found


def same_prototype(one: Crystal, other: Crystal) -> bool:
    """Return whether two structures of one formula are equal up to scale, each element in its place.

    Examples are rock salt with swapped elements, or a perovskite decorated with another one's elements.

    Stricter than `match_prototypes`, which averages over the sites: every site needs one of its element in
    the other structure that differs by less than `ALIKE`.
    """
    if one.n_sites > MOST_SITES or other.n_sites > MOST_SITES:
        return False
    geometries = [Geometry.of(crystal, NEAREST) for crystal in (one, other)]
    distances, shares = zip(*(_near(geometry) for geometry in geometries), strict=True)
    lengths = np.log(distances[0])[:, None] - np.log(distances[1])
    difference = _difference(lengths, _normal(shares[0])[:, None] - _normal(shares[1]), 2)
    difference[geometries[0].role[:, None] != geometries[1].role] = np.inf
    return bool(max(difference.min(axis=0).max(), difference.min(axis=1).max()) < ALIKE)


def _near(geometry: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n, NEAREST) distances of the sites, and (n, r) number of near neighbours of each role."""
    distances = geometry.distances[:, :NEAREST].astype(np.float64)
    close = np.exp(-((distances / SHELL) ** 4))
    theirs = geometry.role[geometry.neighbours[:, :NEAREST]]
    roles = range(len(geometry.elements))
    return distances, np.stack([(close * (theirs == other)).sum(axis=1) for other in roles], axis=1)


def _normal(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows that sum to 1."""
    return np.asarray(share / np.maximum(share.sum(axis=1, keepdims=True), 1e-9))


def _difference(
    lengths: NDArray[np.float64], shares: NDArray[np.float64], axis: int | tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the difference of geometries, see `match_prototypes`, from differences of their parts."""
    apart: NDArray[np.float64] = np.maximum(
        np.sqrt((lengths**2).mean(axis=axis)), np.abs(shares).mean(axis=axis)
    )
    return apart


def orders(counts: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the first `MOST_ORDERS` permutations of the roles that keep the counts."""
    roles = range(len(counts))
    same = (way for way in permutations(roles) if all(counts[way[role]] == counts[role] for role in roles))
    return list(islice(same, MOST_ORDERS))


def with_elements(
    geometry: Geometry, elements: NDArray[np.int64], order: tuple[int, ...]
) -> NDArray[np.int64]:
    """Return (n,) atomic numbers of the sites, with ``elements[i]`` in the role ``order[i]``."""
    table = np.empty(len(order), np.int64)
    table[list(order)] = elements
    return table[geometry.role]
