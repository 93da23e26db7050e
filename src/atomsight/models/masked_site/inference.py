"""Inference with the exported masked-site network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.core.errors import ModelError
from atomsight.models.base import Model
from atomsight.models.onnx.session import SITES_PER_CALL, run_crystals, uses_directions

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from atomsight.models.isotypes.bank import Isotypes

Columns = Mapping[str, NDArray[Any]]


@final
class MaskedSiteModel(Model):
    """Predicts from distances, directions and the neighbour graph of whole crystals."""

    columns: tuple[str, ...] = ("distances", "neighbours", "site")

    def __init__(self, name: str, session: InferenceSession, fingerprint: str) -> None:
        super().__init__(name, session, fingerprint)
        self.sees_directions = uses_directions(session)
        """Whether the network takes the directions of the neighbours."""
        if self.sees_directions:
            self.columns = (*self.columns, "directions")
        self._isotypes_text = str(session.get_modelmeta().custom_metadata_map.get("isotypes", ""))
        if self._isotypes_text:  # megabytes of encoded arrays
            self.metadata["isotypes"] = hashlib.sha256(self._isotypes_text.encode()).hexdigest()

    @cached_property
    def isotypes(self) -> Isotypes | None:
        """Known crystals that are pooled with the network, see `models.isotypes`; None without them.

        Raises:
            ModelError: they are damaged.
        """
        if not self._isotypes_text:
            return None
        from atomsight.models.isotypes.bank import Isotypes

        return Isotypes.from_text(self._isotypes_text, self.name)

    def probabilities(self, columns: Columns) -> NDArray[np.float32]:
        """Return (n, elements) float32 probabilities of blind prediction, see `Model`.

        The probabilities of a network with `isotypes` are pooled with theirs.

        Args:
            columns: rows of whole crystals: ``distances`` and ``neighbours`` (n, k or more), ``site``, which
                counts from 0 in each crystal, and ``directions`` where `sees_directions`.
        """
        distances, neighbours, first = self._checked(columns)
        hidden = np.zeros(len(distances), dtype=np.int64)
        begins = np.flatnonzero(columns["site"] == 0)
        ways = self.directions_of(columns)
        answer = self._run(begins, distances, neighbours + first[:, None], hidden, ways)
        if self.isotypes is None:
            return answer
        return self.isotypes.pooled(answer, distances, columns["site"], self.elements)

    def site_likelihoods(self, crystal: Crystal, sure: float = 1.0) -> NDArray[np.float32]:
        """Return the probability of each element at each site, given the elements of all other sites.

        The logarithm of the entry of a site's own element, summed over the sites, is the crystal's
        pseudo-log-likelihood (Besag 1975, 10.2307/2987782). The network runs once per site, each time with
        one hidden.

        Args:
            crystal: the crystal.
            sure: see `conditional_probabilities`.

        Returns:
            (sites, len(elements)) float32, rows sum to 1.
        """
        columns = {**self.columns_of(crystal), "element": crystal.site_numbers}
        return self.conditional_probabilities(columns, sure)

    def conditional_probabilities(self, columns: Columns, sure: float = 1.0) -> NDArray[np.float32]:
        """Return `site_likelihoods` for rows of the dataset.

        Args:
            columns: as in `probabilities`, and ``element`` (n,), atomic numbers. An element that the model
                does not name is an input all the same.
            sure: a site whose own element has at least this probability in the blind prediction keeps its
                blind row. At 0.99 the network runs for one site in seven.
        """
        distances, neighbours, first = self._checked(columns)
        directions = self.directions_of(columns)
        element = np.asarray(columns["element"]).astype(np.int64)
        answer = np.empty((len(element), len(self.elements)), dtype=np.float32)
        asked = np.ones(len(element), dtype=bool)
        if sure < 1:
            answer[:] = self.probabilities(columns)
            asked = self.own_probabilities(answer, element) < sure
        for rows in np.split(np.arange(len(first)), np.flatnonzero(np.diff(first)) + 1):
            hidden = np.flatnonzero(asked[rows])
            ways = None if directions is None else directions[rows]
            sites = (distances[rows], neighbours[rows], element[rows])
            answer[rows[hidden]] = self.hidden_one_by_one(*sites, hidden, ways)
        return answer

    def own_probabilities(
        self, probabilities: NDArray[np.floating], element: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return (n,) the probability of each site's own element, 0 if the model does not name it.

        Args:
            probabilities: (n, elements).
            element: (n,) atomic numbers.
        """
        place = np.full(256, -1)
        place[list(self.elements)] = np.arange(len(self.elements))
        column = place[np.asarray(element)]
        own = probabilities[np.arange(len(column)), column].astype(np.float64)
        return np.where(column < 0, 0.0, own)

    def hidden_one_by_one(
        self,
        distances: NDArray[np.float32],
        neighbours: NDArray[np.int64],
        element: NDArray[np.int64],
        hidden: NDArray[np.integer],
        directions: NDArray[np.int8] | None = None,
        watch: Callable[[float], None] | None = None,
    ) -> NDArray[np.float32]:
        """Return the probabilities at some sites of one crystal, from copies with one site hidden in each.

        Args:
            distances: (n, k) float32, Å.
            neighbours: (n, k) int64, site of each neighbour.
            element: (n,) int64, atomic numbers.
            hidden: (m,) the sites asked for.
            directions: (n, k, 3) int8, see `directions_of`.
            watch: receives the share that is done, before each run of the network. Its exceptions pass.

        Returns:
            (m, len(elements)) float32.
        """
        n = len(element)
        answer = np.empty((len(hidden), len(self.elements)), dtype=np.float32)
        copies = max(1, SITES_PER_CALL // max(n, 1))
        for start in range(0, len(hidden), copies):
            if watch is not None:
                watch(start / len(hidden))
            sites = hidden[start : start + copies]
            repeats = (len(sites), 1)
            begins = n * np.arange(len(sites))
            shown = np.tile(element, len(sites))
            shown[begins + sites] = 0
            shifted = np.tile(neighbours, repeats) + np.repeat(begins, n)[:, None]
            ways = None if directions is None else np.tile(directions, (*repeats, 1))
            whole = self._run(begins[:1], np.tile(distances, repeats), shifted, shown, ways)
            answer[start : start + copies] = whole[begins + sites]
        if self.isotypes is None:
            return answer
        return self.isotypes.given(answer, hidden, distances, element, self.elements)

    def columns_of(self, crystal: Crystal) -> dict[str, NDArray[Any]]:
        """Return distances, sites and directions of the k nearest neighbours of a crystal's sites."""
        from atomsight.geometry.neighbours import site_neighbours, site_surroundings

        site = np.arange(crystal.n_sites, dtype=np.uint32)
        if self.sees_directions:
            return {**site_surroundings(crystal, self.k)._asdict(), "site": site}
        distances, neighbours = site_neighbours(crystal, self.k)
        return {"distances": distances, "neighbours": neighbours, "site": site}

    def directions_of(self, columns: Columns) -> NDArray[np.int8] | None:
        """Return (n, k, 3) int8 directions, or None if the network does not use them.

        Args:
            columns: ``directions`` is (n, 3 k or more) or (n, k or more, 3).

        Raises:
            ModelError: it is missing or of another shape or type.
        """
        if not self.sees_directions:
            return None
        given = np.asarray(columns["directions"]) if "directions" in columns else np.empty(0)
        rows = len(np.asarray(columns["distances"]))
        if given.dtype != np.int8 or given.size < rows * 3 * self.k or given.size % (3 * max(rows, 1)):
            raise ModelError(
                f"the model {self.name} needs directions, whole numbers of 8 bits, 3 x {self.k} a site, got "
                f"{given.dtype} of shape {given.shape}; they come with `site_surroundings`"
            )
        return np.ascontiguousarray(given.reshape(rows, given.size // (3 * max(rows, 1)), 3)[:, : self.k])

    def _checked(self, columns: Columns) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Return (n, k) distances and neighbours within the crystal, and (n,) first row of the crystal."""
        distances = self.checked_distances(columns)
        neighbours, site = np.asarray(columns["neighbours"]), np.asarray(columns["site"]).astype(np.int64)
        if neighbours.shape != np.shape(columns["distances"]):
            raise ModelError(
                f"the model {self.name} needs k = {self.k} neighbours a site, got shape {neighbours.shape}"
            )
        neighbours = neighbours[:, : self.k].astype(np.int64)
        rows = np.arange(len(site))
        first = rows - site
        begins = np.flatnonzero(site == 0)
        sizes = np.diff(begins, append=len(site))
        if (len(site) and site[0]) or not np.array_equal(first, np.repeat(begins, sizes)):
            raise ModelError(f"the model {self.name} needs whole crystals, their sites in order from 0")
        if np.any(neighbours >= np.repeat(sizes, sizes)[:, None]) or np.any(neighbours < 0):
            raise ModelError(f"the model {self.name} was given neighbours that are no sites of their crystal")
        return distances, neighbours, first

    def _run(self, begins: NDArray[np.integer], *inputs: NDArray[Any] | None) -> NDArray[np.float32]:
        """Run the network on whole crystals that begin at the given rows."""
        named = dict(zip(("distances", "neighbours", "element", "directions"), inputs, strict=True))
        return run_crystals(self._session, begins, len(self.elements), **named)


MODEL = MaskedSiteModel
