"""Training of models on a dataset (extra ``train``).

| module | contents |
|---|---|
| `settings`, `run_folder` | what a training run was asked for; what it leaves behind |
| `architecture`, `registry` | the interface of an architecture, a folder with a module `training` |
| `train` | `train_model`: from a dataset to an exported model |
| `hardware` | threads, devices and machines |
| `loop` | the training loop that serves every architecture |
| `data`, `in_memory` | batches of a dataset, streamed or held on the device |
| `processes` | training in several processes, on one machine or many |
| `soap` | the optimiser SOAP |
| `calibrate` | temperature scaling |
| `finetune` | training that starts from a trained model |
| `grow` | a trained model taken to a larger k |
| `average` | the mean of the weights of several models |
| `export` | ONNX files; the export of a run folder |
| `two_stage`, `masked_site`, `plausibility` | the architectures |

The modules `settings`, `run_folder` and `registry` can be imported without PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atomsight.training.hardware import Hardware as Hardware
    from atomsight.training.settings import Settings as Settings
    from atomsight.training.train import train_model as train_model

_HOME = {"Hardware": "hardware", "Settings": "settings", "train_model": "train"}

__all__ = ["Hardware", "Settings", "train_model"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"atomsight.training.{_HOME[name]}"), name)
    raise AttributeError(f"module 'atomsight.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
