"""The dataset: one table with a row per symmetry-unique site, built in parallel and read as a stream.

| module | what it holds |
|---|---|
| `schema` | names and types of every column |
| `builder` | chunks to workers, parts back; resumable, the same bytes however it went |
| `naming`, `chunks` | portable sources and unique ids; the units of work |
| `rows`, `work` | crystals to rows; what a worker does |
| `staging`, `finalise` | finished parts of an unfinished build; from parts to shards |
| `split` | families, groups, and the leak-free split |
| `store`, `batches` | `Dataset`; streaming, shuffled and capped batches |
| `info` | what is inside |
| `dedupe` | near-duplicate crystals |
| `corpora` | known collections of crystals and how to get them |
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atomsight.dataset.builder import build as build
    from atomsight.dataset.store import Dataset as Dataset
    from atomsight.dataset.store import open_dataset as open_dataset

_HOME = {"Dataset": "store", "build": "builder", "open_dataset": "store"}

__all__ = ["Dataset", "build", "open_dataset"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"atomsight.dataset.{_HOME[name]}"), name)
    raise AttributeError(f"module 'atomsight.dataset' has no attribute {name!r}")
