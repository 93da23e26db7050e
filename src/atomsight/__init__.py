"""atomsight reads a crystal as a bare periodic point set and says which chemical element sits on every site.

| module | what it holds |
|---|---|
| `crystal` | `Crystal`, the one in-memory form |
| `elements`, `errors`, `compiled` | symbols, formulas; errors raised on purpose; compiling kernels |
| `files`, `scores`, `wording` | output files that are whole or absent; shared scores; words of messages |
| `neighbours` | exact k-nearest-neighbour distances of periodic sets |
| `symmetry` | orbits: from the file's operations, else found from the geometry |
| `readers` | CIFs, folders and archives to `Crystal`; the quality policy |
| `bonds` | which neighbours are bonded, and the bond type |
| `dataset` | the one table: build, merge, store, split, near-duplicates; the engines of parallel work |
| `models` | trained models on ONNX Runtime |
| `training` | the networks in PyTorch, the training loop, export |
| `evaluate` | metrics, confusion matrices, mistakes: pure functions |
| `analyse` | distributions of distances, their peaks, what misclassified sites share |
| `screen` | `check`: wrong elements; `rank`: candidate structures in order |
| `plots` | figures from tables |
| `report` | one self-contained HTML page from result folders |
| `web` | the local page and its API |
| `cli` | one file per verb |

The public names below are loaded on first use, so that ``import atomsight`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from atomsight.core.version import __version__

if TYPE_CHECKING:
    from atomsight.check.check import check as check
    from atomsight.core.crystal import Crystal as Crystal
    from atomsight.dataset import open_dataset as open_dataset
    from atomsight.geometry.neighbours import amd as amd
    from atomsight.geometry.neighbours import earth_movers_distance as earth_movers_distance
    from atomsight.geometry.neighbours import nearest_neighbours as nearest_neighbours
    from atomsight.geometry.neighbours import pdd as pdd
    from atomsight.io import read as read
    from atomsight.models import load_model as load_model
    from atomsight.rank.rank import rank as rank

_HOME = {
    "Crystal": "atomsight.core.crystal",
    "amd": "atomsight.geometry.neighbours",
    "check": "atomsight.check.check",
    "earth_movers_distance": "atomsight.geometry.neighbours",
    "load_model": "atomsight.models",
    "nearest_neighbours": "atomsight.geometry.neighbours",
    "open_dataset": "atomsight.dataset",
    "pdd": "atomsight.geometry.neighbours",
    "rank": "atomsight.rank.rank",
    "read": "atomsight.io",
}

__all__ = [
    "Crystal",
    "__version__",
    "amd",
    "check",
    "earth_movers_distance",
    "load_model",
    "nearest_neighbours",
    "open_dataset",
    "pdd",
    "rank",
    "read",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'atomsight' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
