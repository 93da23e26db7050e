"""In-memory dataset on the training device, for GPUs that outpace streaming."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch.utils.data import IterableDataset

from atomsight.training.architecture import DEFAULT_BATCH, SiteBatch
from atomsight.training.data import SiteStream
from atomsight.training.processes import alone

SPARE = 8
"""Neighbours kept beyond the model's k. They move up where augmentation leaves out hydrogens."""


class InMemoryCrystals(IterableDataset[SiteBatch]):
    """Whole crystals of one split as batches, read once from a stream and kept on a device.

    Args:
        stream: of whole crystals; read as its epoch 0 orders them.
        device: where the tensors lie.
        epoch: returns the number of the epoch that is about to be read.
    """

    def __init__(self, stream: SiteStream, device: torch.device, epoch: Callable[[], int]) -> None:
        super().__init__()
        self.elements = stream.elements
        self.epoch = epoch
        self.place: Callable[[], tuple[int, int]] = alone
        self.size = stream.settings.batch_size or DEFAULT_BATCH
        self.shuffled = stream.split == "train"
        self.seed = stream.settings.seed
        parts: dict[str, list[torch.Tensor]] = {}
        for batch in stream:
            for name, values in batch.items():
                if values.ndim == 2:
                    each = values.shape[1] // stream.dataset.k
                    values = values[:, : each * (stream.settings.k + SPARE)]
                parts.setdefault(name, []).append(values.int() if name == "neighbours" else values)
        self.columns = {name: torch.cat(pieces).to(device) for name, pieces in parts.items()}
        self.begins = torch.nonzero(self.columns["site"] == 0).flatten()
        total = torch.tensor([len(self.columns["site"])], device=device)
        self.sizes = torch.diff(self.begins, append=total)
        self.device = device

    def __iter__(self) -> Iterator[SiteBatch]:
        """Yield batches that end where a crystal ends, at the first such place from the batch size on."""
        order = torch.arange(len(self.begins), device=self.device)
        if self.shuffled:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch())
            order = torch.randperm(len(order), generator=generator).to(self.device)
        sizes = self.sizes[order]
        ends = sizes.cumsum(0)
        cuts = torch.searchsorted(
            ends, torch.arange(self.size, int(ends[-1]) + self.size, self.size).to(ends)
        )
        cuts = torch.unique(cuts.clamp_max(len(order) - 1)) + 1
        start = 0
        for end in cuts.tolist():
            chosen, lengths = order[start:end], sizes[start:end]
            first = lengths.cumsum(0) - lengths
            rows = torch.arange(int(lengths.sum()), device=self.device)
            rows = rows + torch.repeat_interleave(self.begins[chosen] - first, lengths)
            batch = {name: values[rows] for name, values in self.columns.items()}
            yield {**batch, "neighbours": batch["neighbours"].long()}
            start = end
