"""Crystals checked for the page: the job, one crystal opened, one site opened, elements tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.check.check import Checked, check
from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS, atomic_number
from atomsight.core.errors import InputError, ModelError
from atomsight.io import read
from atomsight.web.jobs import Job
from atomsight.web.precedents import Precedents, of_training, of_witnesses
from atomsight.web.scene import scene
from atomsight.web.tables import RANKS, profiles_table, shipped

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models.masked_site.inference import MaskedSiteModel

MOST_ATOMS = 2_000_000
"""Atoms of all crystals of one job: they stay in memory, to be opened."""

NEAR = 6
"""Neighbours that are told of the site that is pointed at."""

SHOWN = 0.001
"""Probability from which an element is listed."""


@dataclass
class Knowledge:
    """The model, and the dataset that the page compares with; loaded when first needed.

    Attributes:
        dataset_path: of the dataset; None takes the shipped tables.
        threads: of the network; 0 takes all cores.
    """

    dataset_path: Path | None = None
    threads: int = 0
    _lock: Lock = field(default_factory=Lock)

    @cached_property
    def model(self) -> MaskedSiteModel:
        """The bundled model."""
        from atomsight.check.reference import MODEL
        from atomsight.models import load_model
        from atomsight.models.masked_site.inference import MaskedSiteModel

        model = load_model(MODEL, threads=self.threads)
        if not isinstance(model, MaskedSiteModel):
            raise ModelError(f"the page needs a masked-site model; {model.name} is {model.kind}")
        return model

    @cached_property
    def dataset(self) -> Dataset | None:
        """The dataset; None without one."""
        from atomsight.dataset import open_dataset

        return None if self.dataset_path is None else open_dataset(self.dataset_path)

    @cached_property
    def _precedents(self) -> Precedents:
        from atomsight.check.reference_sites import ReferenceSites

        if self.dataset is None:
            return of_training()
        return of_witnesses(ReferenceSites(self.dataset), self.dataset.path.name)

    def precedents(self) -> Precedents:
        """Sites to compare with, in memory: those of the dataset, else a sample of the training data."""
        with self._lock:
            return self._precedents

    @cached_property
    def _profiles(self) -> dict[str, Any]:
        if self.dataset is None:
            return shipped("profiles")
        return profiles_table(self.dataset, list(self.dataset.element_counts()))

    def profile(self, symbol: str) -> list[list[float]]:
        """Quantiles of the distance to the n-th neighbour of an element, Å; empty where it is not known."""
        with self._lock:
            found: list[list[float]] = self._profiles["elements"].get(symbol, [])
        return found


def check_job(job: Job, knowledge: Knowledge, only: str | None = None) -> None:
    """Check the crystals of an upload; `Job.result` grows by one `Checked` after another.

    Args:
        job: names the upload.
        knowledge: the model.
        only: the source of the one crystal to check, as the page sees it; None checks all.
    """
    job.result = []
    if only is None:
        job.count()
    paths = job.upload.paths
    if only is not None:
        paths = [path for path in paths if only.startswith(job.upload.shown(str(path)))]
    crystals = _limited(read(paths, on_skip=job.skip), job)
    if only is not None:
        crystals = (crystal for crystal in crystals if job.upload.shown(crystal.source) == only)
    for found in check(crystals, knowledge.model, on_skip=job.skip, progress=job.reach):
        job.result.append(found)
        job.advance(bool(found.flagged))


def _limited(crystals: Iterator[Crystal], job: Job) -> Iterator[Crystal]:
    atoms = 0
    for crystal in crystals:
        job.advance()
        job.begin(crystal.source)
        atoms += crystal.n_atoms
        if atoms > MOST_ATOMS:
            job.message = (
                f"the page holds {MOST_ATOMS:,} atoms at a time; what comes after {job.handled:,} crystals "
                "was left out. atomsight check has no such limit"
            )
            return
        yield crystal


def summary(found: Checked, index: int, job: Job) -> dict[str, Any]:
    """One line of the list of crystals."""
    worst = max(found.sites, key=lambda site: site.suspicion)
    return {
        "index": index,
        "crystal": found.crystal.name,
        "source": job.upload.shown(found.crystal.source),
        "formula": found.crystal.formula,
        "score": round(found.score, 3),
        "flagged": len(found.flagged),
        "signs": len(found.findings),
        "worst": f"{worst.label}: {worst.element}, better {worst.suggested}",
    }


def told(found: Checked, job: Job) -> dict[str, Any]:
    """What the command line tells of a crystal, without the folder on this machine."""
    return {**found.as_dict(), "source": job.upload.shown(found.crystal.source)}


def opened(found: Checked, job: Job) -> dict[str, Any]:
    """What the command line tells of a crystal, and what is needed to draw it."""
    from atomsight.geometry.neighbours import site_neighbours

    crystal = found.crystal
    distances, neighbours = site_neighbours(crystal, NEAR)
    return {
        **told(found, job),
        "space_group": crystal.space_group,
        "atoms": crystal.n_atoms,
        "volume": round(crystal.volume, 2),
        "flags": sorted(crystal.flags),
        "multiplicities": crystal.multiplicities.tolist(),
        "near_distances": distances.round(4).tolist(),
        "near_sites": neighbours.tolist(),
        "scene": scene(crystal),
    }


def open_site(found: Checked, site: int, knowledge: Knowledge, beside: str | None) -> dict[str, Any]:
    """One site: its distances, its probabilities, and where the neighbours of its element and of another lie.

    Args:
        found: the crystal.
        site: index.
        knowledge: model and tables.
        beside: symbol of the other element; None takes the one that `check` suggests.

    Raises:
        InputError: there is no such site or element.
    """
    from atomsight.geometry.neighbours import site_surroundings

    crystal, model = found.crystal, knowledge.model
    if not 0 <= site < crystal.n_sites:
        raise InputError(f"there is no site {site}; {crystal.name} has sites 0 to {crystal.n_sites - 1}")
    checked = found.sites[site]
    other = checked.suggested if beside is None else SYMBOLS[atomic_number(beside)]
    precedents = knowledge.precedents()
    width = max(RANKS, model.k)
    distances, neighbours, directions = site_surroundings(crystal, width)
    narrow = np.ascontiguousarray(distances[:, : model.k], dtype=np.float32)
    near = neighbours[:, : model.k].astype(np.int64)
    element = crystal.site_numbers.astype(np.int64)
    rows: dict[str, NDArray[Any]] = {
        "distances": narrow,
        "neighbours": near,
        "directions": directions,
        "site": np.arange(crystal.n_sites),
    }
    blind = model.probabilities(rows)[site]
    ways = model.directions_of(rows)
    given = model.hidden_one_by_one(narrow, near, element, np.array([site]), ways)[0]
    around = neighbours[site, :RANKS]
    return {
        "site": site,
        "label": checked.label,
        "element": checked.element,
        "beside": other,
        "distances": distances[site, :RANKS].round(4).tolist(),
        "elements": [SYMBOLS[z] for z in crystal.site_numbers[around].tolist()],
        "labels": [crystal.labels[one] for one in around.tolist()],
        "neighbours": around.tolist(),
        "blind": _ranked(blind, model),
        "given": _ranked(given, model),
        "profiles": {symbol: knowledge.profile(symbol) for symbol in {checked.element, other}},
        "precedents": precedents.nearest(distances[site], crystal.name),
        "precedents_of": precedents.told,
    }


def changed(found: Checked, changes: Mapping[int, str], knowledge: Knowledge) -> Crystal:
    """The crystal with other elements on some sites.

    Raises:
        InputError: there is no such site or element, or the model does not know the element.
    """
    from atomsight.web.corrected import with_elements

    crystal = with_elements(found.crystal, changes)
    unknown = {symbol for symbol in changes.values() if atomic_number(symbol) not in knowledge.model.elements}
    if unknown:
        raise InputError(f"the model does not know {', '.join(sorted(unknown))}")
    return crystal


def try_job(job: Job, found: Checked, crystal: Crystal, knowledge: Knowledge) -> None:
    """Check a crystal with other elements; `Job.result` tells of it, and by how much it gains.

    Args:
        job: has nothing else to do.
        found: what was found with the elements as they were.
        crystal: see `changed`.
        knowledge: the model.
    """
    then = next(check(crystal, knowledge.model, progress=job.reach))
    n = crystal.n_sites
    job.result = {
        **told(then, job),
        "gain": round(n * (then.likelihood - found.likelihood), 3),
        "score_before": round(found.score, 3),
        "likelihood_before": round(found.likelihood, 4),
    }
    job.advance(bool(then.flagged))


def _ranked(row: np.ndarray, model: MaskedSiteModel) -> dict[str, float]:
    order = np.argsort(-row, kind="stable")[:8]
    return {SYMBOLS[model.elements[j]]: round(float(row[j]), 5) for j in order if row[j] >= SHOWN}
