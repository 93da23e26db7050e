"""Published structures checked for wrongly assigned elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atomsight.check.evidence import evidence_of
from atomsight.check.precedents import Witnesses
from atomsight.check.reference import FLAGGED, MODEL, Calibration, calibration_of
from atomsight.check.signs import Sign, signs_of
from atomsight.check.suspicion import examine
from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError, ModelError
from atomsight.dataset import open_dataset
from atomsight.geometry.crystal_class import reference_class, weights_class
from atomsight.io.member import OnSkip
from atomsight.models import load_model
from atomsight.models.base import Model
from atomsight.models.masked_site.inference import MaskedSiteModel
from atomsight.models.plausibility.inference import Plausibility
from atomsight.parallel.jobs import Source, Work, spread


@dataclass(frozen=True)
class CheckedSite:
    """What was found about one site.

    Attributes:
        site, label, element: which; the element as assigned.
        probability: of that element, given the elements of all other sites.
        suggested: the element that would fit best in its place.
        suspicion: minus log10 of the share of correct crystals that hold a site as suspicious: 2 is one
            crystal in a hundred. 0 where the model does not know the element.
        flagged: the suspicion is at least 2.
        gain: what the suggestion adds to the log-likelihood of the site and those around; None where it was
            not tried.
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
class Checked:
    """What was found about one crystal.

    Attributes:
        crystal: the crystal.
        score: the largest suspicion of its sites.
        likelihood: mean over the sites of the logarithm of the probability of the element assigned.
        sites: in their order.
        signs: that concern the crystal as a whole.
    """

    crystal: Crystal
    score: float
    likelihood: float
    sites: tuple[CheckedSite, ...]
    signs: tuple[Sign, ...]

    @property
    def flagged(self) -> tuple[CheckedSite, ...]:
        """The flagged sites, most suspicious first."""
        return tuple(sorted((s for s in self.sites if s.flagged), key=lambda s: -s.suspicion))

    def as_dict(self) -> dict[str, Any]:
        """For JSON, as the command line and the page tell it."""
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


@dataclass(frozen=True)
class CheckJob:
    """What a worker needs to know to check; see `check`."""

    model: Model | str | Path | None
    calibration: Path | None
    precedents: Witnesses | Path | None
    against: Witnesses | Path | None
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
    crystals: Crystal | Iterable[Source],
    model: Model | str | Path | None = None,
    *,
    calibration: Path | None = None,
    precedents: Witnesses | Path | None = None,
    against: Witnesses | Path | None = None,
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
    if spread_out and any(isinstance(given, Model | Witnesses) for given in (model, precedents, against)):
        raise InputError("workers load models and datasets themselves; give their names or paths")
    if spread_out and watch is not None:
        raise InputError("watch: work in other processes is watched crystal by crystal only; leave it out")
    job = CheckJob(model, calibration, precedents, against, threads or int(spread_out), watch)
    return spread(crystals, job, on_skip, executor=executor, workers=workers)


def _witnesses(dataset: Witnesses | Path | None) -> Witnesses | None:
    return Witnesses(open_dataset(dataset)) if isinstance(dataset, Path) else dataset


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
