"""Detection of wrongly assigned elements in published structures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atomsight.check.evidence import evidence_of
from atomsight.check.precedents import Witnesses
from atomsight.check.reference import FLAGGED, MODEL, Calibration, calibration_of
from atomsight.check.signs import Sign, signs_of
from atomsight.check.suspicion import examine
from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError, ModelError
from atomsight.core.progress import OnProgress, OnSkip, Tracker
from atomsight.core.results import Record, Results
from atomsight.dataset.store import Dataset, open_dataset
from atomsight.geometry.crystal_class import reference_class, weights_class
from atomsight.models import load_model
from atomsight.models.base import Model
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.models.plausibility.inference import Plausibility
from atomsight.parallel.jobs import Work, results_of

if TYPE_CHECKING:
    import pyarrow as pa

Precedents = Witnesses | Dataset | str | Path | None
"""Crystals to compare with, in memory or as a dataset."""


@dataclass(frozen=True)
class CheckedSite:
    """Result of `check` for one site.

    Attributes:
        site: index of the site.
        label: its label in the file.
        element: the assigned element.
        probability: probability of that element, given the elements of all other sites.
        suggested: the best other element.
        suspicion: minus log10 of the share of correct crystals with a site of this score or more: 2 is one
            crystal in a hundred. 0 where the model does not know the element.
        flagged: whether the suspicion is at least 2.
        gain: change of the log-likelihood of the site and its neighbours with the suggested element; None
            where it was not tried.
        evidence: sentences; for flagged sites, and for the most suspicious one.
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


@dataclass(frozen=True)
class Checked(Record):
    """Result of `check` for one crystal.

    Attributes:
        crystal: the crystal.
        score: the largest suspicion of its sites.
        likelihood: mean over the sites of the logarithm of the probability of the assigned element.
        sites: results of the sites, in their order.
        signs: problems of the crystal as a whole.
    """

    crystal: Crystal
    score: float
    likelihood: float
    sites: tuple[CheckedSite, ...]
    signs: tuple[Sign, ...]

    @property
    def flagged(self) -> tuple[CheckedSite, ...]:
        """The flagged sites, the most suspicious first."""
        return tuple(sorted((s for s in self.sites if s.flagged), key=lambda s: -s.suspicion))

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, as ``atomsight check --json`` prints them.

        Returns:
            ``crystal``, ``source``, ``formula``, ``score``, ``likelihood``, ``sites`` with the attributes of
            `CheckedSite`, and ``signs``.
        """
        return {
            "crystal": self.crystal.name,
            "source": self.crystal.source,
            "formula": self.crystal.formula,
            "score": round(self.score, 3),
            "likelihood": round(self.likelihood, 4),
            "sites": [
                {
                    "site": site.site,
                    "label": site.label,
                    "element": site.element,
                    "probability": round(site.probability, 6),
                    "suggested": site.suggested,
                    "suspicion": round(site.suspicion, 3),
                    "flagged": site.flagged,
                    "gain": None if site.gain is None else round(site.gain, 2),
                    "evidence": list(site.evidence),
                }
                for site in self.sites
            ],
            "signs": [
                {"kind": sign.kind, "text": sign.text, "sites": list(sign.sites)} for sign in self.signs
            ],
        }

    @classmethod
    def schema(cls) -> pa.Schema:
        """The columns of `to_arrow`: a row for each site; the signs of the crystal stand in every row."""
        import pyarrow as pa

        text, number, whole = pa.string(), pa.float64(), pa.int64()
        sign = pa.struct({"kind": text, "text": text, "sites": pa.list_(whole)})
        return pa.schema(
            {
                "crystal": text,
                "source": text,
                "formula": text,
                "score": number,
                "likelihood": number,
                "site": whole,
                "label": text,
                "element": text,
                "probability": number,
                "suggested": text,
                "suspicion": number,
                "flagged": pa.bool_(),
                "gain": number,
                "evidence": pa.list_(text),
                "signs": pa.list_(sign),
            }
        )


@dataclass(frozen=True)
class CheckJob:
    """What a worker needs to know to check; see `check`."""

    model: Model | str | Path | None
    calibration: Path | None
    precedents: Precedents
    against: Precedents
    threads: int
    watch: Callable[[float], None] | None = None

    files = 1

    def open(self) -> Work:
        """Load the model, its calibration and the witnesses."""
        network = self.model
        if not isinstance(network, Model):
            network = load_model(MODEL if network is None else network, threads=self.threads)
        if not isinstance(network, MaskedSiteModel):
            raise ModelError(f"check needs a masked-site model; {network.name} is {network.kind}")
        plausibility = Plausibility(threads=self.threads)
        known = calibration_of(network, plausibility, self.calibration)
        precedents = _witnesses(self.precedents)
        against = precedents if self.against == self.precedents else _witnesses(self.against)
        return lambda crystals, on_skip: _stream(
            crystals, network, known, plausibility, precedents, against, on_skip, self.watch
        )


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
    if executor is not None and any(
        isinstance(one, Model | Witnesses | Dataset) for one in (model, precedents, against)
    ):
        raise InputError("workers load models and datasets themselves; give their names or paths")
    tracker = Tracker("checking", progress, on_skip)
    watch = tracker.reach if executor is None and progress is not None else None
    job = CheckJob(
        model,
        None if calibration is None else Path(calibration),
        precedents,
        against,
        threads or int(executor is not None),
        watch,
    )
    return results_of(source, job, Checked, tracker, executor)


def _witnesses(dataset: Precedents) -> Witnesses | None:
    if dataset is None or isinstance(dataset, Witnesses):
        return dataset
    return Witnesses(dataset if isinstance(dataset, Dataset) else open_dataset(dataset))


def _stream(
    crystals: Iterator[Crystal],
    network: MaskedSiteModel,
    known: Calibration,
    plausibility: Plausibility,
    precedents: Witnesses | None,
    against: Witnesses | None,
    on_skip: OnSkip | None,
    watch: Callable[[float], None] | None,
) -> Iterator[Checked]:
    for crystal in crystals:
        if not np.isin(crystal.site_numbers, network.elements).any():
            source, reason = (
                crystal.source or crystal.name,
                f"the model {network.name} knows none of its elements",
            )
            if on_skip is None:
                raise ModelError(f"{source}: {reason}")
            on_skip(source, reason)
            continue
        yield _checked(crystal, network, known, plausibility, precedents, against, watch)


def _checked(
    crystal: Crystal,
    model: MaskedSiteModel,
    calibration: Calibration,
    plausibility: Plausibility,
    precedents: Witnesses | None,
    against: Witnesses | None,
    watch: Callable[[float], None] | None,
) -> Checked:
    from atomsight.geometry.neighbours import site_surroundings

    width = max(model.k, 0 if against is None else against.k)
    wide, whose, ways = site_surroundings(crystal, width)
    distances = np.ascontiguousarray(wide[:, : model.k], dtype=np.float32)
    neighbours = whose[:, : model.k].astype(np.int64)
    element = crystal.site_numbers.astype(np.int64)
    directions = model.directions_of({"distances": distances, "directions": ways})
    compared = reference_class(element, distances, neighbours)
    found = examine(
        model,
        distances,
        neighbours,
        element,
        calibration.weights[weights_class(compared)],
        directions=directions,
        plausibility=plausibility,
        share=crystal.multiplicities / crystal.n_atoms,
        watch=watch,
    )
    suspicion = calibration.references[compared].suspicion(found.score)
    probability = model.own_probabilities(found.given, element)
    most = int(found.score.argmax())
    sites = []
    for site, label in enumerate(crystal.labels):
        flagged = bool(suspicion[site] >= FLAGGED)
        evidence: list[str] = []
        if element[site] not in model.elements:
            evidence = [f"the model does not know {SYMBOLS[element[site]]}"]
        elif flagged or site == most:
            evidence = evidence_of(site, found, model.elements, element, distances, neighbours)
            if precedents is not None:
                evidence.append(f"most alike: {precedents.nearest_sites(distances[site], crystal.name)}")
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
    signs = [*signs_of(crystal), *([] if against is None else against.same_geometry(crystal, wide))]
    likelihood = float(np.log(np.maximum(probability, 1e-12)).mean())
    crystal.forget()
    return Checked(crystal, float(suspicion.max()), likelihood, tuple(sites), tuple(signs))
