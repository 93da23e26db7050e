"""Batches of a dataset as tensors, read ahead in a thread so that reading and training overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
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
"""Batches held ready."""


@dataclass(frozen=True)
class Task:
    """What a model learns from, and what it is to tell apart.

    Attributes:
        dataset: an open dataset.
        settings: of the training.
        elements: atomic numbers that the model names, ascending.
    """

    dataset: Dataset
    settings: Settings
    elements: tuple[int, ...]

    def stream(self, architecture: Architecture, split: str) -> SiteStream:
        """Batches of one split as an architecture takes them."""
        return SiteStream(
            self.dataset,
            self.settings,
            self.elements,
            architecture.columns,
            split,
            architecture.whole_crystals,
        )

    def sized(self, architecture: Architecture) -> Task:
        """The same with the architecture's own batch size, where the settings leave it open."""
        size = self.settings.batch_size or architecture.batch_size(self.sites_of_epoch(architecture))
        return replace(self, settings=replace(self.settings, batch_size=size))

    def steps(self, architecture: Architecture) -> int:
        """Steps of an epoch."""
        size = self.settings.batch_size or DEFAULT_BATCH
        return -(-self.sites_of_epoch(architecture) // size)

    def train_sites(self) -> int:
        """Sites of the ``train`` split that are of the model's elements, at most the cap of each."""
        counts, cap = self.dataset.element_counts("train"), self.settings.cap
        return sum(min(counts[z], cap or counts[z]) for z in self.elements if z in counts)

    def sites_of_epoch(self, architecture: Architecture) -> int:
        """Sites that an epoch sees, on average with ``per_crystal``."""
        most = self.settings.per_crystal
        if not architecture.whole_crystals:
            return self.train_sites()
        if most is None:
            return self.dataset.n_sites("train")
        crystals = self.dataset.crystals(["n_sites", "split"]).to_pydict()
        sizes = zip(crystals["n_sites"], crystals["split"], strict=True)
        return sum(min(n, most) for n, split in sizes if split == "train")


class SiteStream(IterableDataset):
    """Sites of one split as a stream of batches.

    Memory is that of a few batches and the dataset's shuffle buffer.

    Each batch is a dict of tensors: the columns asked for, and ``target``, the column of the site's element
    in the model's output. Columns of width k or more are cut to k, and sites of elements that the model does
    not name left out; batches of whole crystals keep both, with -1 as the target of such sites.

    Args:
        dataset: where from.
        settings: k, cap, batch size, seed.
        elements: atomic numbers; sites of other elements are left out.
        columns: columns besides the element.
        split: ``train`` is shuffled, in another order each epoch, and capped; the others are read as they
            stand.
        whole_crystals: batches end where a crystal ends; see `Dataset.batches`.
        epoch: gives the number of the epoch that is about to be read.

    Attributes:
        place: gives the rank of this process and the number of processes; each gets its share of every batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        elements: tuple[int, ...],
        columns: tuple[str, ...],
        split: str,
        whole_crystals: bool = False,
        epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.settings = settings
        self.elements = elements
        self.columns = columns
        self.split = split
        self.whole_crystals = whole_crystals
        self.epoch = epoch
        self.place: Callable[[], tuple[int, int]] = alone
        self._target = np.full(256, -1, dtype=np.int64)
        self._target[list(elements)] = np.arange(len(elements))

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
            shares = (self._crystals(batch, rank, processes) for batch in source)
            return read_ahead(shares, READ_AHEAD)
        return read_ahead(map(self._tensors, share_of_rows(source, rank, processes)), READ_AHEAD)

    def _crystals(self, batch: dict[str, NDArray[Any]], rank: int, processes: int) -> SiteBatch:
        share, counts = share_of_crystals(batch, rank, processes)
        tensors = self._tensors(share)
        return tensors if counts else tensors | {"target": torch.full_like(tensors["target"], -1)}

    def _tensors(self, batch: dict[str, NDArray[Any]]) -> SiteBatch:
        tensors = {"target": torch.from_numpy(self._target[batch["element"]])}
        for name in self.columns:
            column = batch[name]
            if column.ndim == 2 and not self.whole_crystals:
                column = column[:, : self.settings.k]
            if column.dtype.kind == "u":  # torch has no arithmetic on most unsigned integers
                column = column.astype(np.int64)
            tensors[name] = torch.from_numpy(np.require(column, requirements=["C", "W"]))
        return tensors


def read_ahead(source: Iterator[Any], size: int) -> Iterator[Any]:
    """The items of an iterator, fetched in a thread up to ``size`` ahead; its errors are raised here."""
    held: queue.Queue[tuple[str, Any]] = queue.Queue(size)
    abandoned = threading.Event()

    def put(item: tuple[str, Any]) -> bool:
        while not abandoned.is_set():
            try:
                held.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def fetch() -> None:
        try:
            for item in source:
                if not put(("item", item)):
                    return
            put(("end", None))
        except BaseException as error:  # handed to the reader, whatever it is
            put(("error", error))

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    try:
        while True:
            word, item = held.get()
            if word == "end":
                return
            if word == "error":
                raise item
            yield item
    finally:
        abandoned.set()
        thread.join()
