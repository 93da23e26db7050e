"""Checks published structures for wrongly assigned elements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from atomsight.core.progress import OnProgress, OnSkip, Tracker
from atomsight.core.results import Record, Results
from atomsight.dataset.store import Dataset, open_dataset
from atomsight.geometry.crystal_class import weights_class
from atomsight.geometry.neighbours import neighbours_of, site_surroundings
from atomsight.models import load_model
from atomsight.models.base import Model
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.models.plausibility.inference import Plausibility
from atomsight.parallel.jobs import Work, results_of

if TYPE_CHECKING:
    import pyarrow as pa

Precedents = ReferenceSites | Dataset | str | Path | None
"""Crystals to compare with, in memory or as a dataset."""


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
class Checked(Record):
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
        """The flagged sites, the most suspicious first."""
        return tuple(sorted((s for s in self.sites if s.flagged), key=lambda s: -s.suspicion))

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``atomsight check --json`` prints them.

        Returns:
            ``crystal``, ``source``, ``formula``, ``score``, ``likelihood``, ``sites`` with the attributes of
            `CheckedSite`, and the `findings` as ``signs``.
        """
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

    @classmethod
    def schema(cls) -> pa.Schema:
        """Return the columns of `to_arrow`: one row per site, each with the findings of the crystal."""
        import pyarrow as pa

        text, number, whole = pa.string(), pa.float64(), pa.int64()
        finding = pa.struct({"kind": text, "text": text, "sites": pa.list_(whole)})
        types = {"score": number, "likelihood": number, "probability": number, "suspicion": number}
        types |= {"site": whole, "flagged": pa.bool_(), "gain": number, "evidence": pa.list_(text)}
        keys = ("crystal", "source", "formula", "score", "likelihood", *(f.name for f in fields(CheckedSite)))
        return pa.schema([*((key, types.get(key, text)) for key in keys), ("signs", pa.list_(finding))])


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
            flagged, own = bool(suspicion[site] >= FLAGGED), SYMBOLS[element[site]]
            evidence: list[str] = []
            if element[site] not in model.elements:
                evidence = [f"the model does not know {own}"]
            elif flagged or site == most:
                evidence = explain(site, found, model.elements, given)
                if self.precedents is not None:
                    similar = self.precedents.nearest_sites(given.distances[site], crystal.name)
                    evidence.append(f"most alike: {similar}")
            p, value = float(probability[site]), float(suspicion[site])
            suggested = SYMBOLS[model.elements[found.suggested[site]]]
            gain = float(found.gain[site]) if found.tried[site] else None
            sites.append(CheckedSite(site, label, own, p, suggested, value, flagged, gain, tuple(evidence)))
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
    precedents: Precedents
    against: Precedents
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
    source: Any,
    model: Model | str | Path | None = None,
    *,
    calibration: str | Path | None = None,
    precedents: Precedents = None,
    against: Precedents = None,
    threads: int = 0,
    on_skip: OnSkip | None = None,
    progress: OnProgress | None = None,
    executor: Executor | int | None = None,
) -> Results[Checked]:
    """Look for wrongly assigned elements in crystals.

    Args:
        source: paths, crystals or objects, see `atomsight.read`. The results keep their order.
        model: a masked-site model, or the name or path of one; None is the bundled one that the calibration
            that ships belongs to.
        calibration: the file of a calibration for another model than the bundled one.
        precedents: a dataset or its folder; flagged sites name the sites of it that are most like them.
        against: a dataset or its folder; crystals of it with the same geometry but other elements are signs.
        threads: threads of the network where ``model`` is a name; 0 takes all cores in one process, one in
            each of several.
        on_skip: receives ``(source, reason)`` of every crystal that is left out. Without it, one
            `SkippedWarning` at the end says how many there were; a single `Crystal` raises.
        progress: receives the progress after each crystal, and in this process, by `Progress.part`, before
            each run of the network on a crystal. What it raises ends the work.
        executor: None works in this process, a number starts so many worker processes, else any
            `concurrent.futures.Executor`. Workers load models and datasets themselves, so that these must be
            names or paths.

    Returns:
        The results, computed while they are iterated over.

    Raises:
        ModelError: the model is no masked-site model, or the calibration belongs to another.
        InputError: a model or a dataset in memory is to go to other processes.
        EngineError: workers died again and again.

    Example:
        >>> for checked in atomsight.check("examples/paracetamol.cif"):
        ...     print(checked.crystal.name, [site.label for site in checked.flagged])
        7105573 []
    """
    held = any(isinstance(one, Model | ReferenceSites | Dataset) for one in (model, precedents, against))
    if executor is not None and held:
        raise InputError("workers load models and datasets themselves; give their names or paths")
    tracker = Tracker("checking", progress, on_skip)
    watch = tracker.reach if executor is None and progress is not None else None
    file = None if calibration is None else Path(calibration)
    job = CheckJob(model, file, precedents, against, threads or int(executor is not None), watch)
    return results_of(source, job, Checked, tracker, executor)


def _reference_sites(dataset: Precedents) -> ReferenceSites | None:
    if dataset is None or isinstance(dataset, ReferenceSites):
        return dataset
    return ReferenceSites(dataset if isinstance(dataset, Dataset) else open_dataset(dataset))
