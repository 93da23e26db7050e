"""Checks for the page: the job, details of one crystal and of one site, trials of other elements."""

from __future__ import annotations

from collections.abc import Mapping
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
from atomsight.parallel.pool import Limits
from atomsight.web.jobs import Job
from atomsight.web.precedents import Precedents, dataset_precedents, training_precedents
from atomsight.web.reading import LIMITS, Capacity, read_upload
from atomsight.web.scene import scene
from atomsight.web.tables import RANKS, distances_table, profiles_table, shipped

if TYPE_CHECKING:
    from atomsight.dataset import Dataset
    from atomsight.models.masked_site.inference import MaskedSiteModel

CAPACITY = Capacity(
    2_000_000,
    lambda crystal: crystal.n_atoms,
    "The page checks at most 2,000,000 atoms at a time; the other crystals were left out. "
    "atomsight check has no such limit",
)
"""Atoms of all crystals of one job, which stay in memory so that they can be opened."""

NEAR = 6
"""Neighbours listed for the site under the pointer."""

LEAST_SHOWN = 0.001
"""Smallest probability of a listed element."""

MOST_SHOWN = 8
"""Largest number of listed elements of one site."""


@dataclass
class Resources:
    """Model, dataset and tables of the server, loaded on first use.

    Attributes:
        dataset_path: dataset that sites are compared with; None uses the bundled tables.
        threads: threads of the neural networks; 0 uses all cores.
        limits: time and memory for reading one file.
    """

    dataset_path: Path | None = None
    threads: int = 0
    limits: Limits = LIMITS
    _lock: Lock = field(default_factory=Lock)
    _counting: Lock = field(default_factory=Lock)

    @cached_property
    def model(self) -> MaskedSiteModel:
        """The bundled masked-site model."""
        from atomsight.check.reference import MODEL
        from atomsight.models import load_model
        from atomsight.models.masked_site.inference import MaskedSiteModel

        model = load_model(MODEL, threads=self.threads)
        if not isinstance(model, MaskedSiteModel):
            raise ModelError(f"the page needs a masked-site model; {model.name} is {model.kind}")
        return model

    @cached_property
    def dataset(self) -> Dataset | None:
        """The dataset; None if the server has none."""
        from atomsight.dataset import open_dataset

        return None if self.dataset_path is None else open_dataset(self.dataset_path)

    @cached_property
    def _precedents(self) -> Precedents:
        from atomsight.check.reference_sites import ReferenceSites

        if self.dataset is None:
            return training_precedents()
        return dataset_precedents(ReferenceSites(self.dataset), self.dataset.path.name)

    def precedents(self) -> Precedents:
        """Return sites to compare with: those of the dataset, else a sample of the training data."""
        with self._lock:
            return self._precedents

    @cached_property
    def _profiles(self) -> dict[str, Any]:
        if self.dataset is None:
            return shipped("profiles")
        return profiles_table(self.dataset, list(self.dataset.element_counts()))

    @cached_property
    def _distances(self) -> dict[str, Any]:
        dataset = self.dataset
        if dataset is None:
            return shipped("distances")
        bonded = dataset if dataset.metadata.get("build", {}).get("bonds") == "perceive" else None
        return distances_table(dataset, list(dataset.element_counts()), bonded=bonded)

    def distances(self) -> dict[str, Any]:
        """Return histograms of neighbour distances: those of the dataset, else of the training data."""
        with self._counting:
            return self._distances

    def profile(self, symbol: str) -> list[list[float]]:
        """Return quantiles of the n-th neighbour distance of an element in Å; empty if it is unknown."""
        with self._lock:
            found: list[list[float]] = self._profiles["elements"].get(symbol, [])
        return found


def check_job(job: Job, resources: Resources, only: str | None = None) -> None:
    """Check the crystals of an upload and append each `Checked` to `Job.result`.

    Args:
        job: the job with its upload.
        resources: the model.
        only: source of the only crystal to check, as the page shows it; None checks all.
    """
    job.result = []
    if only is None:
        job.count()
    crystals = read_upload(job, resources.limits, CAPACITY, only)
    for found in check(crystals, resources.model, on_skip=job.skip, progress=job.reach):
        job.result.append(found)
        job.advance(bool(found.flagged))


def summary(found: Checked, index: int, job: Job) -> dict[str, Any]:
    """Return the row of a crystal in the list."""
    worst = max(found.sites, key=lambda site: site.suspicion)
    return {
        "index": index,
        "crystal": found.crystal.name,
        "source": job.upload.shown(found.crystal.source),
        "formula": found.crystal.formula,
        "score": round(found.score, 3),
        "flagged": len(found.flagged),
        "signs": len(found.findings),
        "worst": f"{worst.label}: {worst.element}, suggested {worst.suggested}",
    }


def record_of(found: Checked, job: Job) -> dict[str, Any]:
    """Return the record that the command line prints, without the folder on this machine."""
    return {**found.as_dict(), "source": job.upload.shown(found.crystal.source)}


def crystal_details(found: Checked, job: Job) -> dict[str, Any]:
    """Return the record of a crystal and the data to draw it."""
    from atomsight.geometry.neighbours import site_neighbours

    crystal = found.crystal
    distances, neighbours = site_neighbours(crystal, NEAR)
    return {
        **record_of(found, job),
        "space_group": crystal.space_group,
        "atoms": crystal.n_atoms,
        "volume": round(crystal.volume, 2),
        "flags": sorted(crystal.flags),
        "multiplicities": crystal.multiplicities.tolist(),
        "near_distances": distances.round(4).tolist(),
        "near_sites": neighbours.tolist(),
        "scene": scene(crystal),
    }


def site_details(found: Checked, site: int, resources: Resources, beside: str | None) -> dict[str, Any]:
    """Return distances and probabilities of a site, and distance profiles of its element and another.

    Args:
        found: the checked crystal.
        site: index of the site.
        resources: model and tables.
        beside: symbol of the other element; None uses the suggested element.

    Raises:
        InputError: there is no such site or element.
    """
    from atomsight.geometry.neighbours import site_surroundings

    crystal, model = found.crystal, resources.model
    if not 0 <= site < crystal.n_sites:
        raise InputError(f"there is no site {site}; {crystal.name} has sites 0 to {crystal.n_sites - 1}")
    checked = found.sites[site]
    other = checked.suggested if beside is None else SYMBOLS[atomic_number(beside)]
    precedents = resources.precedents()
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
    masked = model.hidden_one_by_one(narrow, near, element, np.array([site]), ways)[0]
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
        "given": _ranked(masked, model),
        "profiles": {symbol: resources.profile(symbol) for symbol in {checked.element, other}},
        "precedents": precedents.nearest(distances[site], crystal.name),
        "precedents_of": precedents.description,
    }


def changed_crystal(found: Checked, changes: Mapping[int, str], resources: Resources) -> Crystal:
    """Return the crystal with other elements on some sites.

    Raises:
        InputError: there is no such site or element, or the model does not know the element.
    """
    from atomsight.web.corrected import with_elements

    crystal = with_elements(found.crystal, changes)
    unknown = {symbol for symbol in changes.values() if atomic_number(symbol) not in resources.model.elements}
    if unknown:
        raise InputError(f"the model does not know {', '.join(sorted(unknown))}")
    return crystal


def try_job(job: Job, found: Checked, crystal: Crystal, resources: Resources) -> None:
    """Check a crystal with other elements; `Job.result` becomes its record and the gain in likelihood.

    Args:
        job: the job.
        found: result for the original elements.
        crystal: see `changed_crystal`.
        resources: the model.
    """
    then = next(check(crystal, resources.model, progress=job.reach))
    n = crystal.n_sites
    job.result = {
        **record_of(then, job),
        "gain": round(n * (then.likelihood - found.likelihood), 3),
        "score_before": round(found.score, 3),
        "likelihood_before": round(found.likelihood, 4),
    }
    job.advance(bool(then.flagged))


def _ranked(row: NDArray[np.floating], model: MaskedSiteModel) -> dict[str, float]:
    order = np.argsort(-row, kind="stable")[:MOST_SHOWN]
    return {SYMBOLS[model.elements[j]]: round(float(row[j]), 5) for j in order if row[j] >= LEAST_SHOWN}
