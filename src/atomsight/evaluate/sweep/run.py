"""Training and evaluation of a model for each k and several seeds, resumable.

A sweep's folder holds run folders such as ``runs/k03-seed1/``, as `train_model` writes them, with the
evaluations ``val/`` and ``test/`` in each, as ``atomsight evaluate`` writes them. Finished parts are not
repeated. Scores, errors and the suggestion are computed from these folders.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import NUMBERS, SYMBOLS
from atomsight.core.errors import DatasetError, InputError
from atomsight.core.files import read_csv
from atomsight.core.progress import OnProgress, Progress
from atomsight.evaluate.result import evaluate
from atomsight.evaluate.sweep.suggest import GroupCounts
from atomsight.geometry.neighbours import checked_k
from atomsight.training import train_model
from atomsight.training.hardware import Hardware
from atomsight.training.run_folder import RunFolder
from atomsight.training.settings import Settings, check_dataset, chosen_elements

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

PRESETS: dict[str, tuple[str, int | None]] = {"ten": ("ten", 10_000), "twenty": ("top20", None)}
"""Elements and largest number of sites per element in the two settings of the founding study."""

SPLITS = ("val", "test")


@dataclass(frozen=True)
class SweepRun:
    """One trained and evaluated model of a sweep.

    Attributes:
        k, seed: Number of neighbours and seed.
        path: Run folder.
        seconds: Time of all epochs with validation.
        parameters: Number of trainable parameters.
        scores: ``summary.json`` of each split's evaluation.
        matrices: (elements, elements) confusion counts of each split.
    """

    k: int
    seed: int
    path: Path
    seconds: float
    parameters: int
    scores: dict[str, dict[str, Any]]
    matrices: dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Sweep:
    """All runs of a sweep.

    Attributes:
        elements: Atomic numbers, in the order of all arrays.
        ks, seeds: Numbers of neighbours and seeds, ascending.
        runs: Runs by (k, seed).
        counts: Counts of each split, by group of crystals.
    """

    elements: tuple[int, ...]
    ks: tuple[int, ...]
    seeds: tuple[int, ...]
    runs: dict[tuple[int, int], SweepRun]
    counts: dict[str, GroupCounts]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element symbols in the order of all arrays."""
        return tuple(SYMBOLS[z] for z in self.elements)

    def matrices(self, split: str) -> NDArray[np.int64]:
        """Return the (ks, elements, elements) confusion counts, summed over the seeds."""
        return np.stack([sum(self.runs[k, seed].matrices[split] for seed in self.seeds) for k in self.ks])


def parse_ks(text: str) -> tuple[int, ...]:
    """Parse ``1-10``, ``4,8,16`` or a mixture, ascending and without repeats.

    Raises:
        InputError: The text has another form, or a k is out of range.
    """
    ks: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", part)
        if not match:
            raise InputError(f"-k takes numbers and ranges such as 1-10 or 4,8,16, not {text!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last:
            raise InputError(f"-k {text}: ranges run upwards from 1 or more")
        checked_k(last)
        ks.update(range(first, last + 1))
    return tuple(sorted(ks))


def sweep_k(
    dataset: Dataset,
    out: str | Path,
    ks: Sequence[int],
    settings: Settings | None = None,
    *,
    seeds: int = 3,
    threads: int | None = None,
    progress: OnProgress = lambda progress: None,
) -> Sweep:
    """Train and evaluate a model for each k and seed, without the parts that ``out`` already holds.

    Args:
        dataset: Dataset of all runs.
        out: Folder of the sweep.
        ks: Numbers of neighbours.
        settings: Settings of all runs; their k and seed are replaced.
        seeds: Runs of each k, with the seeds 0 .. seeds - 1.
        threads: Threads of training and evaluation.
        progress: Receives the progress of the training of each run, and that of the stage ``sweep`` with the
            scores as `Progress.record` after each run.

    Raises:
        InputError: There is no k or no seed, or ``out`` holds runs with other settings.
        DatasetError: The dataset holds too few neighbours, lacks an element, or its val or test split holds
            none of the elements.
    """
    settings = settings or Settings(elements="top20")
    if not ks or seeds < 1:
        raise InputError(f"a sweep needs at least one k and one seed, not {len(ks)} and {seeds}")
    check_dataset(replace(settings, k=max(ks)), dataset)
    elements = chosen_elements(settings.elements, dataset)
    for split in SPLITS:
        if not set(elements) & set(dataset.element_counts(split)):
            raise DatasetError(
                f"the {split} split of {dataset.path} holds none of the elements; build it from more crystals"
            )
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder")
    order = tuple(sorted(set(ks)))
    runs: dict[tuple[int, int], SweepRun] = {}
    wanted = [(k, seed) for seed in range(seeds) for k in order]
    for k, seed in wanted:
        place = folder / "runs" / f"k{k:02d}-seed{seed}"
        skipped = all((place / split).is_dir() for split in SPLITS)
        run = _run(dataset, place, replace(settings, k=k, seed=seed), threads, progress)
        runs[k, seed] = run
        names = product(SPLITS, ("accuracy", "macro_recall"))
        scores = {f"{split}_{name}": run.scores[split][name] for split, name in names}
        record = {"event": "run", "k": k, "seed": seed, "done": len(runs), "runs": len(wanted)}
        spent = {"skipped": skipped, "seconds": run.seconds, "parameters": run.parameters}
        progress(Progress("sweep", len(runs), len(wanted), record={**record, **spent, **scores}))
    counts = {
        split: _group_counts(dataset, split, elements, [[runs[k, s] for s in range(seeds)] for k in order])
        for split in SPLITS
    }
    return Sweep(elements, order, tuple(range(seeds)), runs, counts)


def _run(
    dataset: Dataset, place: Path, settings: Settings, threads: int | None, progress: OnProgress
) -> SweepRun:
    which = f"k = {settings.k}, seed {settings.seed}"
    model = train_model(
        dataset,
        place,
        settings,
        resume=True,
        hardware=Hardware(threads),
        progress=lambda now: progress(replace(now, stage=f"{which}: {now.stage}")),
    )
    for split in SPLITS:
        if not (place / split).is_dir():
            _evaluate(dataset, place, split, threads)
    seconds = sum(record["seconds"] for record in RunFolder(place).epochs())
    return SweepRun(
        k=settings.k,
        seed=settings.seed,
        path=place,
        seconds=round(seconds, 2),
        parameters=_parameters(settings, model.elements),
        scores={
            split: json.loads((place / split / "summary.json").read_text(encoding="utf-8"))
            for split in SPLITS
        },
        matrices={split: _matrix(place / split / "confusion.csv", model.elements) for split in SPLITS},
    )


def _evaluate(dataset: Dataset, place: Path, split: str, threads: int | None) -> None:
    """Write an evaluation. Its folder appears when all its files are complete."""
    draft = place / f"{split}.tmp"
    shutil.rmtree(draft, ignore_errors=True)
    evaluate(place, dataset, split=split, out=draft, threads=threads or 0)
    draft.replace(place / split)


def _parameters(settings: Settings, elements: tuple[int, ...]) -> int:
    from atomsight.training.registry import architecture_class

    return architecture_class(settings.model)(settings.k, elements).n_parameters


def _matrix(file: Path, elements: tuple[int, ...]) -> NDArray[np.int64]:
    rows = {row["true"]: row for row in read_csv(file)}
    symbols = [SYMBOLS[z] for z in elements]
    return np.array([[int(rows[true][predicted]) for predicted in symbols] for true in symbols])


def _group_counts(
    dataset: Dataset, split: str, elements: tuple[int, ...], runs: Sequence[Sequence[SweepRun]]
) -> GroupCounts:
    """Count sites and hits of each group, without the groups that have no site of the elements."""
    table = dataset.crystals(["crystal", "group", "split"]).to_pydict()
    groups: dict[str, int] = {}
    group_of: dict[str, int] = {}
    for crystal, group, part in zip(table["crystal"], table["group"], table["split"], strict=True):
        if part == split:
            group_of[crystal] = groups.setdefault(group or crystal, len(groups))
    column_of = np.full(256, -1, dtype=np.int64)
    column_of[list(elements)] = np.arange(len(elements))
    sites = np.zeros((len(groups), len(elements)))
    for batch in dataset.batches(["crystal", "element"], split=split, elements=elements):
        names, inverse = np.unique(batch["crystal"].astype(str), return_inverse=True)
        rows = np.array([group_of[name] for name in names])[inverse]
        np.add.at(sites, (rows, column_of[batch["element"]]), 1)
    hits = np.broadcast_to(sites, (len(runs), len(runs[0]), *sites.shape)).copy()
    for i, row in enumerate(runs):
        for j, run in enumerate(row):
            for mistake in read_csv(run.path / split / "mistakes.csv"):
                hits[i, j, group_of[mistake["crystal"]], column_of[NUMBERS[mistake["true"]]]] -= 1
    used = sites.sum(axis=1) > 0
    return GroupCounts(tuple(row[0].k for row in runs), sites[used], hits[:, :, used])
