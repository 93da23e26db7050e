"""Checks published structures for wrongly assigned elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.check.evidence import explain
from atomsight.check.findings import Finding, find_problems
from atomsight.check.reference import FLAGGED, MODEL, Calibration, load_calibration
from atomsight.check.reference_sites import ReferenceSites
from atomsight.check.suspicion import CheckInput, score_sites
from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError, ModelError
from atomsight.dataset import open_dataset
from atomsight.geometry.crystal_class import weights_class
from atomsight.geometry.neighbours import neighbours_of, site_surroundings
from atomsight.io.member import OnSkip
from atomsight.models import load_model
from atomsight.models.base import Model
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.models.plausibility.inference import Plausibility
from atomsight.parallel.jobs import Source, Work, spread


@dataclass(frozen=True)
class CheckedSite:
    """Result of `check` for one site.

    Attributes:
        site: index of the site.
        label: its label.
        element: the element as assigned.
        probability: probability of that element, given the elements of all other sites.
        suggested: the best other element.
        suspicion: minus log10 of the share of correct crystals with a site that is as suspicious. A value of
            2 is one crystal in a hundred. 0 if the model does not know the element.
        flagged: whether the suspicion is at least 2.
        gain: change of the log-likelihood of the site and its neighbours by the suggestion; None if it was
            not tried.
        evidence: sentences, for flagged sites and the most suspicious site.
    """

    site: int
    label: str
    element: str
    probability: float
    suggested: str
    suspicion: float
    flagged: bool
    gain: float | None
    evidence: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return a record for JSON."""
        return vars(self) | {
            "probability": round(self.probability, 6),
            "suspicion": round(self.suspicion, 3),
            "gain": None if self.gain is None else round(self.gain, 2),
            "evidence": list(self.evidence),
        }


@dataclass(frozen=True)
class Checked:
    """Result of `check` for one crystal.

    Attributes:
        crystal: the crystal.
        score: largest suspicion of its sites.
        likelihood: mean over the sites of the log probability of the assigned element.
        sites: results of the sites, in their order.
        findings: problems of the crystal as a whole.
    """

    crystal: Crystal
    score: float
    likelihood: float
    sites: tuple[CheckedSite, ...]
    findings: tuple[Finding, ...]

    @property
    def flagged(self) -> tuple[CheckedSite, ...]:
        """The flagged sites, most suspicious first."""
        return tuple(sorted((s for s in self.sites if s.flagged), key=lambda s: -s.suspicion))

    def as_dict(self) -> dict[str, Any]:
        """Return a record for JSON, as the command line prints it."""
        return {
            "crystal": self.crystal.name,
            "source": self.crystal.source,
            "formula": self.crystal.formula,
            "score": round(self.score, 3),
            "likelihood": round(self.likelihood, 4),
            "sites": [site.as_dict() for site in self.sites],
            "signs": [
                {"kind": one.problem, "text": one.text, "sites": list(one.sites)} for one in self.findings
            ],
        }


@dataclass(frozen=True)
class Checker:
    """Checks crystals with a model.

    Attributes:
        model: predicts the elements.
        calibration: calibration of the model.
        plausibility: network of the feature ``plausible``.
        precedents: sites that flagged sites are compared with.
        against: crystals that are compared with the geometry of each crystal.
        watch: receives the share of a crystal's work that is done, before each run of the network.
    """

    model: MaskedSiteModel
    calibration: Calibration
    plausibility: Plausibility
    precedents: ReferenceSites | None = None
    against: ReferenceSites | None = None
    watch: Callable[[float], None] | None = None

    def stream(self, crystals: Iterator[Crystal], on_skip: OnSkip | None) -> Iterator[Checked]:
        """Check crystals in their order.

        Raises:
            ModelError: the model knows no element of a crystal, and `on_skip` is None.
        """
        for crystal in crystals:
            if np.isin(crystal.site_numbers, self.model.elements).any():
                yield self.check(crystal)
                continue
            source = crystal.source or crystal.name
            reason = f"the model {self.model.name} knows none of its elements"
            if on_skip is None:
                raise ModelError(f"{source}: {reason}")
            on_skip(source, reason)

    def check(self, crystal: Crystal) -> Checked:
        """Check one crystal."""
        model = self.model
        width = max(model.k, 0 if self.against is None else self.against.k)
        neighbours_of(crystal, width)  # searches for all atoms, once for the sites and the bonds
        distances, neighbours, directions = site_surroundings(crystal, width)
        columns: dict[str, NDArray[Any]] = {
            "distances": distances,
            "neighbours": neighbours,
            "directions": directions,
            "element": crystal.site_numbers,
            "multiplicity": crystal.multiplicities,
        }
        given = CheckInput.of(model, columns)
        compared, element = given.reference_class, given.element
        weights = self.calibration.weights[weights_class(compared)]
        found = score_sites(model, given, weights, self.plausibility, watch=self.watch)
        suspicion = self.calibration.references[compared].suspicion(found.score)
        probability = model.own_probabilities(found.conditional, element)
        most = int(found.score.argmax())
        sites = []
        for site, label in enumerate(crystal.labels):
            flagged = bool(suspicion[site] >= FLAGGED)
            evidence: list[str] = []
            if element[site] not in model.elements:
                evidence = [f"the model does not know {SYMBOLS[element[site]]}"]
            elif flagged or site == most:
                evidence = explain(site, found, model.elements, given)
                if self.precedents is not None:
                    similar = self.precedents.nearest_sites(given.distances[site], crystal.name)
                    evidence.append(f"most alike: {similar}")
            sites.append(
                CheckedSite(
                    site,
                    label,
                    SYMBOLS[element[site]],
                    float(probability[site]),
                    SYMBOLS[model.elements[found.suggested[site]]],
                    float(suspicion[site]),
                    flagged,
                    float(found.gain[site]) if found.tried[site] else None,
                    tuple(evidence),
                )
            )
        findings = find_problems(crystal)
        if self.against is not None:
            findings += self.against.same_geometry(crystal, distances)
        likelihood = float(np.log(np.maximum(probability, 1e-12)).mean())
        crystal.forget()
        return Checked(crystal, float(suspicion.max()), likelihood, tuple(sites), tuple(findings))


@dataclass(frozen=True)
class CheckJob:
    """The options of `check` that are sent to worker processes."""

    model: Model | str | Path | None
    calibration: Path | None
    precedents: ReferenceSites | Path | None
    against: ReferenceSites | Path | None
    threads: int
    watch: Callable[[float], None] | None = None

    files = 1

    def open(self) -> Work:
        """Load the model, its calibration and the datasets.

        Raises:
            ModelError: the model is not a masked-site model, or the calibration belongs to another model.
        """
        model = self.model
        if not isinstance(model, Model):
            model = load_model(MODEL if model is None else model, threads=self.threads)
        if not isinstance(model, MaskedSiteModel):
            raise ModelError(f"check needs a masked-site model; {model.name} is {model.kind}")
        plausibility = Plausibility(threads=self.threads)
        calibration = load_calibration(model, plausibility, self.calibration)
        precedents = _reference_sites(self.precedents)
        against = precedents if self.against == self.precedents else _reference_sites(self.against)
        return Checker(model, calibration, plausibility, precedents, against, self.watch).stream


def check(
    crystals: Crystal | Iterable[Source],
    model: Model | str | Path | None = None,
    *,
    calibration: Path | None = None,
    precedents: ReferenceSites | Path | None = None,
    against: ReferenceSites | Path | None = None,
    threads: int = 0,
    on_skip: Callable[[str, str], None] | None = None,
    executor: Executor | None = None,
    workers: int = 1,
    watch: Callable[[float], None] | None = None,
) -> Iterator[Checked]:
    """Look for wrong elements in crystals, one after another.

    Args:
        crystals: one crystal or any number; or files (`atomsight.parallel.jobs.sources_of`), which are read
            where the work is done.
        model: a masked-site model, or the name or path of one; None is the bundled one that the calibration
            that ships belongs to.
        calibration: what `calibrate_check` wrote for another model than the bundled one.
        precedents: sites of a dataset; flagged sites name those most like them.
        against: crystals of a dataset; those with the same geometry but other elements are signs.
        threads: of the network where ``model`` is a name; 0 takes all cores in one process, one in each of
            several.
        on_skip: receives (source, reason) of a crystal none of whose elements the model knows; without it
            such a crystal raises.
        executor, workers: who does the work, see `atomsight.parallel.jobs.spread`. Other processes load
            models and datasets themselves: then these must be names or paths.
        watch: receives how far the crystal at hand is, 0 to 1, before each run of the network; what it raises
            ends the work, so that a crystal of thousands of sites can be given up midway. One process only.

    Raises:
        ModelError: the model is no masked-site model, or the calibration belongs to another.
        InputError: a model, a dataset in memory, or a watcher is to go to other processes.
        EngineError: workers died again and again.
    """
    spread_out = executor is not None or workers > 1
    if spread_out and any(
        isinstance(given, Model | ReferenceSites) for given in (model, precedents, against)
    ):
        raise InputError("workers load models and datasets themselves; give their names or paths")
    if spread_out and watch is not None:
        raise InputError("watch: work in other processes is watched crystal by crystal only; leave it out")
    job = CheckJob(model, calibration, precedents, against, threads or int(spread_out), watch)
    return spread(crystals, job, on_skip, executor=executor, workers=workers)


def _reference_sites(dataset: ReferenceSites | Path | None) -> ReferenceSites | None:
    return ReferenceSites(open_dataset(dataset)) if isinstance(dataset, Path) else dataset
