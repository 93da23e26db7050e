"""Features of candidate structures, from which the score of `rank` is computed.

A new feature needs a row in `FEATURES`, its values in a method of `FeatureExtractor`, and new weights from
``python -m workshop.calibrate_rank``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.molecules import Molecules, normalised
from atomsight.geometry.crystal_class import CLASSES, crystal_class, may_be_molecular
from atomsight.geometry.neighbours import neighbours_of
from atomsight.geometry.symmetry import primitive_atoms
from atomsight.models.base import Model
from atomsight.models.plausibility.inference import Networks, crystal_logits
from atomsight.rank.molecules import dispersion
from atomsight.rank.molecules.contacts import REACH, TOLERATED, contacts_of, histogram, packing
from atomsight.rank.sites import Sites, element_log_probs, site_log_odds
from atomsight.rank.tables import Tables
from atomsight.rank.volume import expected_volume

Floats = NDArray[np.float64]

SCORE_CLASSES = (*CLASSES, "unrelaxed")
"""Classes of candidates that have their own weights. ``unrelaxed`` are inorganic candidates without
``--relaxed``."""

VOLUME = 0.15
"""Log ratio of volume and expected volume from which `rank --explain` reports the volume."""

SLACK = 1.05
"""Factor on the lengths of inorganic crystals at the expected volume. The volume of an unrelaxed candidate
depends on how it was made. Chosen on one half of the compositions of ``csp-inorganic``
(``benchmarks/rank_inorganic.py``)."""

MENDED = 0.3
"""Largest log ratio between the shortest usual distance and the closest pair that is not penalised in an
unrelaxed candidate. Its lengths are wrong by up to a third. Chosen like `SLACK`."""

NEAREST = 8
"""Number of neighbours that ``closest`` compares."""

SEARCHED = 16
"""Neighbours that are searched for all atoms where bonds are needed. The networks use them, too."""


@dataclass(frozen=True)
class Feature:
    """A feature: how its weight is calibrated, and how `rank --explain` reports it.

    Attributes:
        name: name of the column.
        sign: 1 if larger values are evidence for a real crystal, -1 if they are evidence against it.
        fitted: members of `SCORE_CLASSES` for which the calibration fits a weight.
        tied: by member of `SCORE_CLASSES`, the weight as a multiple of the weight of the feature in
            `LEADING`.
        threshold: `sentence` is reported for larger values.
        sentence: makes a sentence from the value.
    """

    name: str
    sign: int = 1
    fitted: tuple[str, ...] = ()
    tied: Mapping[str, float] = field(default_factory=dict)
    threshold: float = math.inf
    sentence: Callable[[float], str] = str


def _volume(share: float, side: str) -> str:
    return f"cell volume {100 * share:.0f} % {side} the value expected for this formula"


def _clash(value: float) -> str:
    return f"a contact between molecules {value + TOLERATED:.2f} Å shorter than the radii"


def _unmet(share: float) -> str:
    return f"{100 * share:.0f} % of the hydrogens on N, O, S have no acceptor"


FEATURES = (
    Feature("plausibility", 1, ("inorganic", "framework")),
    Feature("pressed", 1, ("unrelaxed",)),
    Feature("blind", 1, ("framework",), {"unrelaxed": 1}),
    Feature("worst_blind", 1, ("framework",), {"unrelaxed": 1}),
    Feature("parsimony", tied={"unrelaxed": 1, "inorganic": 1}),
    Feature("dense", -1, ("inorganic", "framework"), {}, VOLUME, lambda v: _volume(1 - np.exp(-v), "below")),
    Feature("loose", -1, ("inorganic",), {}, VOLUME, lambda v: _volume(np.exp(v) - 1, "above")),
    Feature("closest", 1, ("inorganic", "framework", "molecular")),
    Feature("crushed", tied={"unrelaxed": 100}),
    Feature("contacts", tied={"molecular": 0.05}),
    Feature("clash", -1, ("molecular",), {}, 0, _clash),
    Feature("packing"),
    Feature("unmet", -1, ("molecular",), {}, 0, _unmet),
    Feature("cohesion", 1, ("molecular",)),
)
"""All features, in the order of the columns:

- ``plausibility``: log-odds of real against decoy by the plausibility network; for inorganic crystals the
  mean of two networks;
- ``pressed``: the same by the network of distances alone, for inorganic crystals at the expected volume;
- ``blind``, ``worst_blind``: mean over the atoms and minimum over the sites of log p(element | geometry) by
  the masked-site model; for inorganic crystals at the expected volume;
- ``parsimony``: for inorganic crystals, minus the logarithm of the number of sites per atom of a primitive
  cell. Crystals tend to have few different environments (Pauling 1929, 10.1021/ja01379a006);
- ``dense``, ``loose``: logarithm of expected volume over volume, and of its inverse; 0 where negative;
- ``closest``: logarithm of the closest pair's distance over the shortest usual distance of such pairs, at
  most 0;
- ``crushed``: how far ``closest`` lies below minus `MENDED`, at most 0;
- ``contacts``: mean log-likelihood ratio of the contacts between molecules per atom;
- ``clash``: how much the worst contact between molecules is shorter than the sum of the radii minus
  `contacts.TOLERATED`, Å;
- ``packing``: share of the cell that the molecules fill;
- ``unmet``: share of the hydrogens on N, O, S without an acceptor;
- ``cohesion``: energy of a pair potential between the molecules, kJ/mol of atoms, see `dispersion`.

``pressed`` and ``parsimony`` are 0 for crystals that are not inorganic, the last five for crystals that are
not molecular.

Tied weights: decoys alone would give nearly all weight to the network that was trained on such decoys, or to
the symmetry that random structures lack. For unrelaxed inorganic crystals ``closest`` at their own, wrong
volume counts only below `MENDED`, and there it decides. These multiples were chosen on one half of the
compositions of ``csp-inorganic``, those of relaxed crystals on ``val``. ``contacts`` has little weight next
to ``cohesion``: on ``val`` both separate random packings from real crystals equally well. The multiple was
chosen on the landscapes of aspirin and Target I.
"""

NAMES = tuple(feature.name for feature in FEATURES)

LEADING = {"unrelaxed": "pressed", "inorganic": "plausibility", "molecular": "cohesion"}
"""By member of `SCORE_CLASSES`, the feature that the weights of tied features are multiples of."""


@dataclass(frozen=True)
class Features:
    """Features of c crystals.

    Attributes:
        classes: (c,) index in `CLASSES`.
        values: (c, len(NAMES)) float64.
        log_odds: of each crystal (sites,), log-odds by the plausibility network.
        log_probs: of each crystal (sites,), log p(element | geometry).
        closest: of each crystal (sites,), logarithm of the closest pair's distance over the shortest usual
            distance of such pairs.
    """

    classes: NDArray[np.int64]
    values: NDArray[np.float64]
    log_odds: list[NDArray[np.float32]]
    log_probs: list[NDArray[np.float64]]
    closest: list[NDArray[np.float64]]


@dataclass(frozen=True)
class FeatureExtractor:
    """Computes the features of crystals.

    Attributes:
        model: predicts elements from the geometry alone.
        networks: plausibility networks.
        tables: volumes, shortest distances and contacts.
    """

    model: Model
    networks: Networks
    tables: Tables

    def features(self, crystals: Sequence[Crystal], used: NDArray[np.bool_] | None = None) -> Features:
        """Compute the features of crystals. Their sites share the runs of the networks.

        Args:
            crystals: any number; memory grows with their sites.
            used: (classes, features) whether a feature is needed. A network does not run on crystals for
                which no feature needs it; these features are 0. None computes all features.
        """
        for crystal in filter(may_be_molecular, crystals):
            neighbours_of(crystal, SEARCHED)
        names, molecules = zip(*(crystal_class(crystal) for crystal in crystals), strict=True)
        classes = np.array([CLASSES.index(name) for name in names])
        inorganic = classes == CLASSES.index("inorganic")

        def needed(*features: str) -> NDArray[np.bool_]:
            """Select the crystals for which one of some features is used."""
            columns = [NAMES.index(name) for name in features]
            return np.ones(len(crystals), bool) if used is None else used[classes][:, columns].any(axis=1)

        general, elements = needed("plausibility"), needed("blind", "worst_blind")
        relaxed, unrelaxed = general & inorganic, needed("pressed") & inorganic
        runs = {"general": general, "inorganic_relaxed": relaxed, "inorganic_unrelaxed": unrelaxed}
        opened = [getattr(self.networks, name) for name, chosen in runs.items() if chosen.any()]
        sites = Sites.of(crystals, max(NEAREST, self.model.k, *(network.k for network in opened)))

        column = {name: np.zeros(len(crystals)) for name in NAMES}
        excess = self._log_volume_ratio(crystals, classes)
        column["dense"], column["loose"] = np.maximum(-excess, 0), np.maximum(excess, 0)
        factor = np.where(inorganic, SLACK * np.exp(-excess / 3), 1.0)
        scaled = sites.distances * np.repeat(factor, sites.sizes)[:, None].astype(np.float32)

        log_odds = np.zeros(len(sites.weight), np.float32)
        for name in ("general", "inorganic_relaxed"):
            if (chosen := runs[name]).any():
                some = sites.select(chosen, sites.distances)
                own = site_log_odds(getattr(self.networks, name), some)
                log_odds[np.repeat(chosen, sites.sizes)] += own
                column["plausibility"][chosen] += crystal_logits(own, some.weight, some.sizes)
        log_odds[np.repeat(relaxed, sites.sizes)] /= 2
        column["plausibility"][relaxed] /= 2
        if unrelaxed.any():
            some = sites.select(unrelaxed, scaled)
            own = site_log_odds(self.networks.inorganic_unrelaxed, some)
            column["pressed"][unrelaxed] = crystal_logits(own, some.weight, some.sizes)

        log_probs = np.zeros(len(sites.weight))
        if elements.any():
            some = sites.select(elements, scaled)
            log_probs[np.repeat(elements, sites.sizes)] = element_log_probs(self.model, some)
        column["blind"] = np.add.reduceat(sites.weight * log_probs, sites.begins)
        column["worst_blind"] = np.minimum.reduceat(log_probs, sites.begins)

        closest = self._log_distance_ratio(sites)
        column["closest"] = np.minimum(np.minimum.reduceat(closest, sites.begins), 0)
        column["crushed"] = np.minimum(column["closest"] + MENDED, 0)

        for i, (crystal, parts) in enumerate(zip(crystals, molecules, strict=True)):
            if inorganic[i]:
                column["parsimony"][i] = np.log(primitive_atoms(crystal) / crystal.n_sites)
            elif parts is not None:
                for name, value in self._of_molecules(crystal, parts).items():
                    column[name][i] = value
            crystal.forget()
        values = np.column_stack([column[name] for name in NAMES])
        ends = sites.begins[1:]
        of_sites = np.split(log_odds, ends), np.split(log_probs, ends), np.split(closest, ends)
        return Features(classes, values, *of_sites)

    def _log_volume_ratio(self, crystals: Sequence[Crystal], classes: NDArray[np.int64]) -> Floats:
        """Compute the (c,) logarithm of volume over expected volume."""
        pairs = zip(crystals, self.tables.volumes[classes], strict=True)
        expected = np.array([expected_volume(crystal.numbers, volumes) for crystal, volumes in pairs])
        return np.asarray(np.log(np.array([crystal.volume for crystal in crystals]) / expected))

    def _log_distance_ratio(self, sites: Sites) -> NDArray[np.float64]:
        """Compute, for each site, `Features.closest`."""
        near = sites.element[sites.neighbours[:, :NEAREST] + sites.first[:, None]]
        shortest = self.tables.closest[sites.element[:, None], near]
        ratio = np.log(np.maximum(sites.distances[:, :NEAREST], 0.05) / shortest)
        return np.asarray(ratio.min(axis=1))

    def _of_molecules(self, crystal: Crystal, molecules: Molecules) -> dict[str, float]:
        """Compute the features of the contacts between molecules."""
        far = contacts_of(normalised(crystal, molecules), molecules, dispersion.REACH)
        near = far.within(REACH)
        filled, clash, unmet = packing(near)
        return {
            "contacts": float((histogram(near) * self.tables.potential).sum()),
            "packing": filled,
            "clash": clash,
            "unmet": unmet,
            "cohesion": dispersion.cohesion(far),
        }
