"""A dataset and a model held in memory, with the interfaces that the evaluation relies on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from atomsight.dataset.schema import CRYSTALS_SCHEMA


class MemoryDataset:
    """Rows of the sites table in arrays, in batches of ``slices`` rows, or of as few whole crystals."""

    def __init__(
        self, columns: dict[str, np.ndarray], groups: Mapping[str, str] | None = None, slices: int = 7
    ) -> None:
        self.columns = columns
        self.k = columns["distances"].shape[1]
        self.path = "memory"
        self.metadata: dict[str, Any] = {}
        self.groups = dict(groups or {})
        self.slices = slices

    def crystals(self, columns: list[str] | None = None) -> pa.Table:
        split_of = dict(zip(self.columns["crystal"], self.columns["split"], strict=True))
        rows = [{"crystal": c, "group": self.groups.get(c, c), "split": s} for c, s in split_of.items()]
        table = pa.Table.from_pylist(rows, schema=CRYSTALS_SCHEMA)
        return table if columns is None else table.select(columns)

    def element_counts(self, split: str | None = None) -> dict[int, int]:
        keep = self.columns["split"] == split if split else np.ones(len(self.columns["element"]), dtype=bool)
        numbers, counts = np.unique(self.columns["element"][keep], return_counts=True)
        order = np.lexsort((numbers, -counts))
        return {int(numbers[i]): int(counts[i]) for i in order}

    def batches(
        self,
        columns: list[str],
        *,
        split: str | None = None,
        batch_size: int = 65536,
        whole_crystals: bool = False,
    ) -> Iterator[dict]:
        keep = np.flatnonzero(self.columns["split"] == split)
        ends = np.arange(1, len(keep) + 1)
        if whole_crystals:
            ends = ends[np.append(self.columns["site"][keep[1:]] == 0, True)]
        start = 0
        while start < len(keep):
            end = int(ends[min(np.searchsorted(ends, start + self.slices), len(ends) - 1)])
            yield {name: self.columns[name][keep[start:end]] for name in columns}
            start = end


class ShellModel:
    """Judges by the first distance alone, and remembers the crystals of each call."""

    name, kind, metadata = "shell", "stand-in", {}

    def __init__(
        self, elements: tuple[int, ...] = (1, 6, 8), k: int = 2, extra: tuple[str, ...] = ()
    ) -> None:
        self.elements, self.k, self.columns = elements, k, ("distances", *extra)
        self.seen: list[str] = []

    def probabilities(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        assert set(columns) == set(self.columns)
        if "crystal" in columns:
            self.seen.extend(dict.fromkeys(columns["crystal"]))
        centres = np.linspace(0.0, 1.0, len(self.elements))
        scores = np.exp(-8 * np.abs(columns["distances"][:, :1] - centres))
        return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def random_dataset(seed: int = 0, crystals: int = 30, slices: int = 7) -> MemoryDataset:
    """Crystals of 1 to 9 sites of H, C, O and, unknown to the model, Li; distances follow the element."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 10, crystals)
    names = np.repeat([f"crystal{i:03d}" for i in range(crystals)], sizes).astype(object)
    site = np.concatenate([np.arange(n) for n in sizes]).astype(np.uint32)
    element = rng.choice([1, 6, 8, 3], size=sizes.sum(), p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8)
    centre = np.select([element == 1, element == 6, element == 8], [0.0, 0.5, 1.0], 0.4)
    first = np.clip(centre + rng.normal(0, 0.3, len(centre)), 0, None)
    columns = {
        "crystal": names,
        "site": site,
        "label": np.array([f"A{i}" for i in range(len(site))], dtype=object),
        "element": element,
        "distances": np.stack([first, first + 0.5, first + 1.0], axis=1).astype(np.float32),
        "split": np.repeat(np.where(np.arange(crystals) % 3 == 0, "train", "test"), sizes).astype(object),
    }
    return MemoryDataset(columns, slices=slices)
