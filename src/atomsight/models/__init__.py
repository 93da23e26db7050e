"""Trained models that name the element of a site: inference on ONNX Runtime.

| module | contents |
|---|---|
| `artefacts` | the shipped files, verified against a manifest |
| `base`, `prediction` | `Model` and `Prediction`: the interface of every trained model |
| `load` | `load_model`, the bundled weights |
| `registry` | the architectures; a new one is a folder with a module `inference` |
| `two_stage`, `masked_site` | inference of the two architectures |
| `isotypes` | known crystals that stand beside a masked-site network |
| `plausibility` | networks that tell real crystals from decoys |
| `composition` | the most likely elements that obey a formula, complete or not |
| `conformal` | prediction sets: the elements that a site may be of, 99 % of the time |
| `onnx` | networks opened and run in ONNX Runtime |
| `predict` | predictions for files |

Nothing here needs PyTorch. `atomsight.training` trains the models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atomsight.models.base import Model as Model
    from atomsight.models.load import bundled_models as bundled_models
    from atomsight.models.load import load_model as load_model
    from atomsight.models.prediction import Prediction as Prediction

_HOME = {"Model": "base", "Prediction": "prediction", "bundled_models": "load", "load_model": "load"}

__all__ = ["Model", "Prediction", "bundled_models", "load_model"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"atomsight.models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'atomsight.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
