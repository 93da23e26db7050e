"""Batches of a dataset as tensors, read ahead in a thread so that reading and training overlap."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import IterableDataset

from atomsight.training.architecture import DEFAULT_BATCH, Architecture, SiteBatch
from atomsight.training.processes import alone, share_of_crystals, share_of_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from atomsight.dataset import Dataset
    from atomsight.training.settings import Settings

READ_AHEAD = 8
"""Batches that are held ready."""


@dataclass(frozen=True)
class Task:
    """A dataset and what to train on it.

    Attributes:
        dataset: an open dataset.
        settings: of the training.
        elements: atomic numbers that the model names, ascending.
    """

    dataset: Dataset
    settings: Settings
    elements: tuple[int, ...]

    def stream(self, architecture: Architecture, split: str) -> SiteStream:
        """Return the batches of one split for an architecture."""
        whole = architecture.whole_crystals
        return SiteStream(self.dataset, self.settings, self.elements, architecture.columns, split, whole)

    def sized(self, architecture: Architecture) -> Task:
        """Return the task with the architecture's own batch size if the settings name none."""
        size = self.settings.batch_size or architecture.batch_size(self.sites_of_epoch(architecture))
        return replace(self, settings=replace(self.settings, batch_size=size))

    def steps(self, architecture: Architecture) -> int:
        """Return the number of steps of an epoch."""
        size = self.settings.batch_size or DEFAULT_BATCH
        return -(-self.sites_of_epoch(architecture) // size)

    def train_sites(self) -> int:
        """Return the number of ``train`` sites of the model's elements, at most the cap of each."""
        counts, cap = self.dataset.element_counts("train"), self.settings.cap
        return sum(min(counts[z], cap or counts[z]) for z in self.elements if z in counts)

    def sites_of_epoch(self, architecture: Architecture) -> int:
        """Return the number of sites in an epoch, on average with ``per_crystal``."""
        most = self.settings.per_crystal
        if not architecture.whole_crystals:
            return self.train_sites()
        if most is None:
            return self.dataset.n_sites("train")
        crystals = self.dataset.crystals(["n_sites", "split"]).to_pydict()
        sizes = zip(crystals["n_sites"], crystals["split"], strict=True)
        return sum(min(n, most) for n, split in sizes if split == "train")


@dataclass(eq=False)
class SiteStream(IterableDataset[SiteBatch]):
    """Sites of one split as a stream of batches.

    The stream holds a few batches and the dataset's shuffle buffer in memory.

    Each batch is a dict of tensors: the columns, and ``target``, the column of the site's element in the
    model's output. Columns of width k or more are cut to k, and sites of elements that the model does not
    name are left out. Batches of whole crystals keep both, with -1 as the target of such sites.

    Attributes:
        dataset: an open dataset.
        settings: k, cap, batch size, seed.
        elements: atomic numbers that the model names.
        columns: columns besides the element.
        split: ``train`` is capped and shuffled, in another order each epoch. The others are read in order.
        whole_crystals: batches end where a crystal ends; see `Dataset.batches`.
        epoch: returns the number of the epoch that is about to be read.
        place: returns the rank of this process and the number of processes; each gets its share of every
            batch.
    """

    dataset: Dataset
    settings: Settings
    elements: tuple[int, ...]
    columns: tuple[str, ...]
    split: str
    whole_crystals: bool = False
    epoch: Callable[[], int] = lambda: 0
    place: Callable[[], tuple[int, int]] = alone

    def __iter__(self) -> Iterator[SiteBatch]:
        training = self.split == "train"
        order = np.random.SeedSequence([self.settings.seed, self.epoch()]).generate_state(1)[0]
        source = self.dataset.batches(
            tuple(dict.fromkeys((*self.columns, "element"))),
            split=self.split,
            elements=None if self.whole_crystals else self.elements,
            batch_size=self.settings.batch_size or DEFAULT_BATCH,
            shuffle=int(order) if training else None,
            cap=self.settings.cap if training else None,
            seed=self.settings.seed,
            whole_crystals=self.whole_crystals,
            per_crystal=self.settings.per_crystal if training else None,
        )
        rank, processes = self.place()
        if self.whole_crystals:
            return read_ahead(self._crystals(batch, rank, processes) for batch in source)
        return read_ahead(map(self._tensors, share_of_rows(source, rank, processes)))

    def _crystals(self, batch: dict[str, NDArray[Any]], rank: int, processes: int) -> SiteBatch:
        share, counts = share_of_crystals(batch, rank, processes)
        tensors = self._tensors(share)
        return tensors if counts else tensors | {"target": torch.full_like(tensors["target"], -1)}

    def _tensors(self, batch: dict[str, NDArray[Any]]) -> SiteBatch:
        target = np.full(256, -1, dtype=np.int64)
        target[list(self.elements)] = np.arange(len(self.elements))
        tensors = {"target": torch.from_numpy(target[batch["element"]])}
        for name in self.columns:
            column = batch[name]
            if column.ndim == 2 and not self.whole_crystals:
                column = column[:, : self.settings.k]
            if column.dtype.kind == "u":  # torch has no arithmetic on most unsigned integers
                column = column.astype(np.int64)
            tensors[name] = torch.from_numpy(np.require(column, requirements=["C", "W"]))
        return tensors


def read_ahead(source: Iterator[Any], size: int = READ_AHEAD) -> Iterator[Any]:
    """Yield the items of an iterator, fetched in a thread up to ``size`` ahead.

    Args:
        source: its errors are raised here.
        size: items that are held ready.
    """
    end = object()
    reader = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    try:
        pending = deque(reader.submit(next, source, end) for _ in range(size))
        while (item := pending.popleft().result()) is not end:
            pending.append(reader.submit(next, source, end))
            yield item
    finally:
        reader.shutdown(cancel_futures=True)
