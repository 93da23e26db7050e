"""What a candidate structure is judged by: one row of numbers for each crystal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.molecules import normalised
from atomsight.geometry.crystal_class import CLASSES, crystal_class
from atomsight.geometry.symmetry import primitive_atoms
from atomsight.models.base import Model
from atomsight.models.plausibility.inference import Networks, crystal_logits
from atomsight.rank.molecules import dispersion as cohesion
from atomsight.rank.molecules.contacts import REACH, contacts_of, histogram, packing
from atomsight.rank.sites import Sites, judged, named
from atomsight.rank.tables import Tables
from atomsight.rank.volume import expected_volume

NAMES: tuple[str, ...] = (
    *("plausibility", "pressed", "blind", "worst_blind", "parsimony", "dense", "loose", "closest", "crushed"),
    *("contacts", "clash", "packing", "unmet", "cohesion"),
)
"""Columns of the features:

- ``plausibility``: log-odds of real against decoy by the network, see `plausibility`; for inorganic crystals
  the mean of two networks;
- ``pressed``: the same by the network of distances alone, for the structure at the volume that its formula
  lets expect, for inorganic crystals;
- ``blind``, ``worst_blind``: mean over the atoms, and least over the sites, of log p(element | geometry) by
  the masked-site model; for inorganic crystals at the expected volume;
- ``parsimony``: minus the logarithm of the share of a primitive cell's atoms that are sites of their own, for
  inorganic crystals: the kinds of surroundings in a crystal tend to be few (Pauling 1929,
  10.1021/ja01379a006);
- ``dense``, ``loose``: logarithm of the expected volume over the volume where it is positive, and of the
  inverse;
- ``closest``: logarithm of the closest pair's distance over what such pairs keep, at most 0;
- ``crushed``: how far that falls below minus `MENDED`, at most 0: shorter than a relaxation would mend;
- ``contacts``: mean log-likelihood ratio of the contacts between molecules per atom;
- ``clash``: how far the worst contact between molecules falls short of the radii by more than
  `contacts.TOLERATED`, Å;
- ``packing``: share of the cell that the molecules fill;
- ``unmet``: share of the hydrogens on N, O that find no acceptor;
- ``cohesion``: energy of a pair potential between the molecules, kJ/mol of atoms, see `cohesion`.

``pressed`` and ``parsimony`` are 0 for crystals with molecules or frameworks, the last five for all but
molecules.
"""

SLACK = 1.05
"""Times the lengths at the expected volume, where inorganic crystals are looked at. Candidates come
unrelaxed, their volume says more of who made them than of what they would be; chosen on one half of the
compositions of ``csp-inorganic`` (``benchmarks/rank_inorganic.py``)."""

MENDED = 0.3
"""Logarithm of the closest pair's distance under what such pairs keep up to which a candidate that is not
relaxed is forgiven: its lengths are off by up to a third. Chosen as `SLACK`."""


NEAREST = 8
"""Neighbours that ``closest`` looks at."""


@dataclass(frozen=True)
class Described:
    """What was found out about some crystals.

    Attributes:
        classes: (c,) place in `CLASSES`.
        values: (c, len(NAMES)) float64.
        site_logits: of each crystal (sites,), log-odds by the network.
        site_blind: of each crystal (sites,), log p(element | geometry).
        site_closest: of each crystal (sites,), logarithm of the closest pair's distance over what such pairs
            keep.
    """

    classes: NDArray[np.int64]
    values: NDArray[np.float64]
    site_logits: list[NDArray[np.float64]]
    site_blind: list[NDArray[np.float64]]
    site_closest: list[NDArray[np.float64]]


def describe(
    crystals: Sequence[Crystal],
    model: Model,
    networks: Networks,
    tables: Tables,
    counting: NDArray[np.bool_] | None = None,
) -> Described:
    """Features of crystals, whose sites share the runs of the networks.

    Args:
        crystals: any number; memory goes with their sites.
        model: a masked-site model, or another that names elements blindly.
        networks: of plausibility.
        tables: of volumes, closest distances and contacts.
        counting: (classes, features), what will be looked at. No network runs on crystals for which nothing
            that it tells is; its features are 0 there. None looks at all.
    """
    found, molecules = zip(*(crystal_class(crystal) for crystal in crystals), strict=True)
    classes = np.array([CLASSES.index(name) for name in found])
    inorganic = classes == CLASSES.index("inorganic")
    if counting is None:
        counting = np.ones((len(CLASSES), len(NAMES)), dtype=bool)

    def asked(*names: str) -> NDArray[np.bool_]:
        """Of which crystals one of the features counts."""
        of_class = np.array([any(row[NAMES.index(name)] for name in names) for row in counting])
        return of_class[classes]

    of_whole, of_pressed, of_blind = (
        asked("plausibility"),
        asked("pressed") & inorganic,
        asked("blind", "worst_blind"),
    )
    of_cells = of_whole & inorganic
    chosen = {"whole": of_whole, "cells": of_cells, "pressed": of_pressed}
    opened = [getattr(networks, name) for name, those in chosen.items() if those.any()]
    turned = any(network.sees_directions for network in opened)
    turned |= "directions" in model.columns and bool(of_blind.any())
    sites = Sites.of(crystals, max(NEAREST, model.k, *(network.k for network in opened)), turned)
    sizes, begins, weight = sites.sizes, sites.begins, sites.weight

    values = np.zeros((len(crystals), len(NAMES)))
    column = {name: values[:, place] for place, name in enumerate(NAMES)}

    volumes = np.array([crystal.volume for crystal in crystals])
    expected = np.array(
        [
            expected_volume(crystal.numbers, tables.volumes[which])
            for crystal, which in zip(crystals, classes, strict=True)
        ]
    )
    excess = np.log(volumes / expected)
    column["dense"][:], column["loose"][:] = np.maximum(-excess, 0), np.maximum(excess, 0)

    logits, blind = np.zeros(len(weight), np.float32), np.zeros(len(weight))
    factor = np.where(inorganic, SLACK * np.exp(-excess / 3), 1.0)
    stretched = sites.distances * np.repeat(factor, sizes)[:, None].astype(np.float32)
    for name in ("whole", "cells"):
        those = chosen[name]
        if those.any():
            some = sites.of_crystals(those, sites.distances)
            own = judged(getattr(networks, name), some)
            logits[np.repeat(those, sizes)] += own
            column["plausibility"][those] += crystal_logits(own, some.weight, some.sizes)
    logits[np.repeat(of_cells, sizes)] /= 2
    column["plausibility"][of_cells] /= 2
    if of_pressed.any():
        some = sites.of_crystals(of_pressed, stretched)
        column["pressed"][of_pressed] = crystal_logits(
            judged(networks.pressed, some), some.weight, some.sizes
        )
    if of_blind.any():
        blind[np.repeat(of_blind, sizes)] = named(model, sites.of_crystals(of_blind, stretched))
    column["blind"][:] = np.add.reduceat(weight * blind, begins)
    column["worst_blind"][:] = np.minimum.reduceat(blind, begins)
    for i in np.flatnonzero(inorganic).tolist():
        one = crystals[i]
        column["parsimony"][i] = np.log(primitive_atoms(one) / one.n_sites)

    near = sites.element[sites.neighbours[:, :NEAREST] + sites.first[:, None]]
    shortest = tables.closest[sites.element[:, None], near]
    closest = np.log(np.maximum(sites.distances[:, :NEAREST], 0.05) / shortest).min(axis=1)
    column["closest"][:] = np.minimum(np.minimum.reduceat(closest, begins), 0)
    column["crushed"][:] = np.minimum(column["closest"] + MENDED, 0)

    for i, (crystal, parts) in enumerate(zip(crystals, molecules, strict=True)):
        if parts is not None:
            crystal = normalised(crystal, parts)
            far = contacts_of(crystal, parts, cohesion.REACH)
            near = far.within(REACH)
            column["contacts"][i] = (histogram(crystal, parts, near) * tables.potential).sum()
            column["packing"][i], column["clash"][i], column["unmet"][i] = packing(crystal, parts, near)
            column["cohesion"][i] = cohesion.cohesion(crystal, parts, far)
    for crystal in crystals:
        crystal.forget()
    return Described(classes, values, *(np.split(v, begins[1:]) for v in (logits, blind, closest)))
