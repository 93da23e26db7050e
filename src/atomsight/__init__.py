"""atomsight predicts which chemical element occupies each site of a crystal, from the geometry alone.

The names of `dir(atomsight)` are the public interface. They are loaded on first use, so that
``import atomsight`` costs nothing.

| package | contents |
|---|---|
| `core` | `Crystal`, elements, errors, progress and results |
| `geometry` | nearest neighbours, symmetry, bonds |
| `io` | readers and writers of structure files and databases; the quality policy |
| `parallel` | executors and the one scheduler |
| `models` | inference of trained models on ONNX Runtime |
| `dataset` | the table of sites: build, merge, repair, split, near-duplicates |
| `training` | the networks in PyTorch, the training loop, export |
| `check` | wrong elements in structures |
| `rank` | candidate structures in order of plausibility |
| `evaluate` | metrics, confusion matrices, mistakes |
| `analyse` | distributions of distances, bond lengths, properties of misclassified sites |
| `plots` | figures |
| `report` | one self-contained HTML page from result folders |
| `web` | the local page and its API |
| `cli` | one file for each command |
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from atomsight.core.version import __version__ as __version__

if TYPE_CHECKING:
    from atomsight.check.check import check as check
    from atomsight.core.crystal import Crystal as Crystal
    from atomsight.dataset.builder import build as build
    from atomsight.dataset.store import Dataset as Dataset
    from atomsight.dataset.store import open_dataset as open_dataset
    from atomsight.evaluate.result import evaluate as evaluate
    from atomsight.geometry.neighbours import amd as amd
    from atomsight.geometry.neighbours import earth_movers_distance as earth_movers_distance
    from atomsight.geometry.neighbours import nearest_neighbours as nearest_neighbours
    from atomsight.geometry.neighbours import pdd as pdd
    from atomsight.io import read as read
    from atomsight.io.write import write as write
    from atomsight.models.base import Model as Model
    from atomsight.models.load import load_model as load_model
    from atomsight.models.predict import predict as predict
    from atomsight.rank.rank import rank as rank
    from atomsight.training.run import train as train

_HOME = {
    "Crystal": "atomsight.core.crystal",
    "Dataset": "atomsight.dataset.store",
    "Model": "atomsight.models.base",
    "amd": "atomsight.geometry.neighbours",
    "build": "atomsight.dataset.builder",
    "check": "atomsight.check.check",
    "earth_movers_distance": "atomsight.geometry.neighbours",
    "evaluate": "atomsight.evaluate.result",
    "load_model": "atomsight.models.load",
    "nearest_neighbours": "atomsight.geometry.neighbours",
    "open_dataset": "atomsight.dataset.store",
    "pdd": "atomsight.geometry.neighbours",
    "predict": "atomsight.models.predict",
    "rank": "atomsight.rank.rank",
    "read": "atomsight.io",
    "train": "atomsight.training.run",
    "write": "atomsight.io.write",
}
"""The module of each public name."""

__all__ = list(_HOME)


class _Package(ModuleType):
    """The package as a module whose verbs hide the subpackages of the same name, such as `check`."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'atomsight' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
