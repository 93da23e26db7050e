"""Networks that name the element of a site: training, export, and inference on ONNX Runtime.

| module | what it holds |
|---|---|
| `base` | `Model` and `Prediction`: what every model offers once trained |
| `runtime` | `load_model`, the bundled weights |
| `artefacts` | the manifest of shipped files, and how they are verified |
| `session`, `floats` | networks opened and run in ONNX Runtime, denormal numbers as zero |
| `registry` | the kinds of model; a new kind is a folder and a line there |
| `two_stage` | the two-stage network |
| `masked_site` | message passing over the quotient graph |
| `predict`, `spread` | predictions for files; crystals judged by many workers |
| `sets` | the elements that a site may be of, 99 % of the time |
| `given`, `assignment`, `formula` | the most likely elements that obey a formula, complete or not |
| `settings`, `run_folder` | what a training run was asked for; what it leaves behind |
| `train`, `fitting`, `stream`, `soap`, `calibrate` | training (extra ``train``) |
| `processes` | training in several processes, on one machine or many |
| `grow` | a trained model taken to a larger k (extra ``train``) |
| `further` | training that goes on from a trained model (extra ``train``) |
| `export`, `card` | ONNX files and model cards (extra ``train``) |

Nothing below `train`, `fitting`, `stream`, `soap` and the ``network`` of a kind needs PyTorch to be *used*.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atomsight.models.base import Model as Model
    from atomsight.models.base import Prediction as Prediction
    from atomsight.models.runtime import bundled_models as bundled_models
    from atomsight.models.runtime import load_model as load_model
    from atomsight.models.settings import Settings as Settings
    from atomsight.models.train import train_model as train_model

_HOME = {
    "Model": "base",
    "Prediction": "base",
    "Settings": "settings",
    "bundled_models": "runtime",
    "load_model": "runtime",
    "train_model": "train",
}

__all__ = ["Model", "Prediction", "Settings", "bundled_models", "load_model", "train_model"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"atomsight.models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'atomsight.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
