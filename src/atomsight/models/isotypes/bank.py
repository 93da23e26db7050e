"""Training crystals as isotypes, and the evidence that they give on the elements of a crystal."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise, permutations
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from atomsight.core.errors import ModelError
from atomsight.models.isotypes.match import add_votes, may_match
from atomsight.models.isotypes.types import COMPARED, Group, Scaled, Scales

MOST_SITES = 24
"""Largest number of sites of a crystal that is compared. Few larger crystals have isotypes."""

CARBON = 6
"""Crystals with this element are no isotypes. Its skeleton determines their lengths, and on ``val`` they
gained nothing."""

MOST_ORDERED = 4
"""Largest number of sites for which all pairings are tried. Else the most similar sites are paired first."""

TINY = 1e-9
"""Lower limit of the network's probabilities."""

MOST_CARBON = 0.5
"""Largest probability of carbon at a site of a crystal that is compared."""

KNOWN = 119
"""Number of columns of a table over atomic numbers."""

Floats = NDArray[np.float32]
Integers = NDArray[np.integer]

ANIONS = ((9,), (8,), (7,), (17, 35, 53), (16, 34, 52))
"""Anions that define the chemistry of a crystal: the first group with an element of it counts. All other
crystals form a sixth chemistry. Volumes and substitutions of an element depend on it."""


def chemistry(elements: set[int]) -> int:
    """Return the index in `ANIONS` for some elements, or the index after the last."""
    return next((place for place, some in enumerate(ANIONS) if not elements.isdisjoint(some)), len(ANIONS))


def company(elements: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (c, n) the `chemistry` of the elements other than each site's, from (c, n) atomic numbers."""
    known: dict[tuple[int, ...], int] = {}
    answer = np.empty_like(elements)
    for number, row in enumerate(elements.tolist()):
        present = set(row)
        for place, own in enumerate(row):
            others = tuple(sorted(present - {own}))
            if others not in known:
                known[others] = chemistry(set(others))
            answer[number, place] = known[others]
    return answer


@lru_cache
def orders_of(sites: int) -> NDArray[np.int64]:
    """Return (p, n) all permutations of up to `MOST_ORDERED` sites; none of more."""
    if sites > MOST_ORDERED:
        return np.empty((0, sites), np.int64)
    return np.array(list(permutations(range(sites))), np.int64).reshape(-1, sites)


def scaled(distances: NDArray[np.floating]) -> Scaled:
    """Return the scaled distances of a crystal's sites from (n, k) Å, ascending, k at least `COMPARED`."""
    logarithms = np.log(np.maximum(distances[:, :COMPARED], 0.3).astype(np.float64))
    length = float(logarithms.mean())
    rows = (logarithms - length).astype(np.float32)
    return Scaled(rows, np.sort(rows.mean(axis=1)), length)


@dataclass(frozen=True)
class Isotypes:
    """Known crystals of up to `MOST_SITES` sites, one after another, and how elements substitute each other.

    Attributes:
        sites: (c,) uint8 sites of each crystal.
        rows: (n, COMPARED) float16, see `Scaled`.
        elements: (n,) uint8 atomic numbers, each crystal's ascending.
        shares: (n,) float32 share of the crystal's atoms.
        lengths: (c,) float32, see `Scaled`.
        volumes: (c,) float32 Å3 an atom.
        stands: (chemistries, KNOWN, KNOWN) float32; share of the element of the third axis among the
            substitutes of that of the second, in compounds of a `chemistry`.
        size: (chemistries, KNOWN) float32 Å3; volume of an atom in such compounds, up to a constant.
        scales: hyperparameters of the comparison.
    """

    sites: NDArray[np.uint8]
    rows: NDArray[np.float16]
    elements: NDArray[np.uint8]
    shares: NDArray[np.float32]
    lengths: NDArray[np.float32]
    volumes: NDArray[np.float32]
    stands: NDArray[np.float32]
    size: NDArray[np.float32]
    scales: Scales = field(default_factory=Scales)

    @cached_property
    def groups(self) -> dict[int, Group]:
        """The crystals by their number of sites."""
        first = np.concatenate([[0], np.cumsum(self.sites, dtype=np.int64)[:-1]])
        found = {}
        for n in np.unique(self.sites):
            which = np.flatnonzero(self.sites == n)
            place = first[which][:, None] + np.arange(n)
            rows = self.rows[place].astype(np.float32)
            means = np.sort(rows.mean(axis=2), axis=1)
            elements, shares = self.elements[place], self.shares[place]
            lengths, volumes = self.lengths[which], self.volumes[which]
            found[int(n)] = Group(rows, means, lengths, elements, shares, volumes, company(elements))
        return found

    def weights(
        self, distances: NDArray[np.floating], opinion: NDArray[np.floating]
    ) -> NDArray[np.float64] | None:
        """Return (n, KNOWN) the weights of the elements from isotypic crystals, or None without any.

        Args:
            distances: (n, k) Å ascending, k at least `COMPARED`.
            opinion: (n, KNOWN) a network's probabilities. Those of a site do not affect its own weights.
        """
        group = self.groups.get(len(distances))
        if group is None:
            return None
        # Equivalent sites are paired in their order. Isotypes are sorted by atomic number, these
        # by the expected one. The order of a file must not matter.
        order = np.argsort(opinion @ np.arange(KNOWN), kind="stable")
        weight = np.zeros((len(distances), KNOWN))
        others = self.scales.heed * np.log(opinion[order].astype(np.float64) + self.scales.least)
        own, orders = scaled(distances[order]), orders_of(len(distances))
        chosen = np.flatnonzero(may_match(own.means, group.means, self.scales.most))
        if not len(chosen):
            return None
        if not add_votes(own, group, chosen, self.stands, self.size, self.scales, orders, others, weight):
            return None
        answer = np.empty_like(weight)
        answer[order] = weight
        return answer

    def pooled(
        self, probabilities: Floats, distances: Floats, site: Integers, elements: tuple[int, ...]
    ) -> Floats:
        """Return (n, e) probabilities of a network pooled with the isotypes of each crystal.

        Args:
            probabilities: (n, e), of blind prediction.
            distances: (n, k) Å.
            site: (n,) number of the site within its crystal, from 0.
            elements: e atomic numbers.
        """
        begins = np.append(np.flatnonzero(np.asarray(site) == 0), len(site))
        columns = np.array(elements)
        carbon = columns == CARBON
        answer = probabilities
        for start, end in pairwise(begins.tolist()):
            if end - start > MOST_SITES or probabilities[start:end, carbon].max(initial=0.0) > MOST_CARBON:
                continue
            opinion = np.zeros((end - start, KNOWN))
            opinion[:, columns] = probabilities[start:end]
            weight = self.weights(distances[start:end], opinion)
            if weight is not None:
                if answer is probabilities:
                    answer = probabilities.copy()
                answer[start:end] = self._joined(probabilities[start:end], weight[:, columns])
        return answer

    def given(
        self,
        probabilities: Floats,
        hidden: Integers,
        distances: Floats,
        element: Integers,
        elements: tuple[int, ...],
    ) -> Floats:
        """Return (m, e) probabilities as `pooled`, for some sites of one crystal given all other elements.

        Args:
            probabilities: (m, e).
            hidden: (m,) the sites.
            distances: (n, k) Å, of all sites.
            element: (n,) atomic numbers.
            elements: e atomic numbers.
        """
        if len(element) > MOST_SITES or CARBON in element:
            return probabilities
        opinion = np.zeros((len(element), KNOWN))
        opinion[np.arange(len(element)), element] = 1.0
        weight = self.weights(distances, opinion)
        if weight is None:
            return probabilities
        return self._joined(probabilities, weight[hidden][:, np.array(elements)])

    def _joined(self, probabilities: NDArray[np.float32], weight: NDArray[np.float64]) -> NDArray[np.float32]:
        total = weight.sum(axis=1, keepdims=True)
        votes = weight / (total + self.scales.scarce) + self.scales.floor
        own = self.scales.own * (1 - self.scales.yields * total / (total + self.scales.much))
        joined = np.maximum(probabilities, TINY) ** own * votes**self.scales.trust
        return np.asarray(joined / joined.sum(axis=1, keepdims=True), np.float32)

    def text(self) -> str:
        """Return the isotypes as a line of text for a model's metadata."""
        held = io.BytesIO()
        np.savez_compressed(held, **{name: getattr(self, name) for name in self.__dataclass_fields__})
        return base64.b85encode(held.getvalue()).decode()

    @classmethod
    def from_text(cls, text: str, source: str) -> Isotypes:
        """Create from the result of `text`.

        Raises:
            ModelError: it is damaged.
        """
        try:
            with np.load(io.BytesIO(base64.b85decode(text))) as file:
                arrays: dict[str, Any] = dict(file)
            arrays["scales"] = Scales(*arrays["scales"].tolist())
            return cls(**arrays)
        except (ValueError, OSError, TypeError, EOFError, KeyError, BadZipFile) as error:
            raise ModelError(f"the isotypes in {source} are damaged; get the file again") from error
