"""Inference with trained models on ONNX Runtime.

| module | contents |
|---|---|
| `artefacts` | the shipped files, verified against a manifest |
| `base`, `prediction` | `Model` and `Prediction`: the interface of every trained model |
| `load` | `load_model`, the bundled weights |
| `registry` | the architectures; a new one is a folder with a module `inference` |
| `two_stage`, `masked_site` | inference of the two architectures |
| `isotypes` | known crystals whose evidence is pooled with that of a masked-site network |
| `plausibility` | networks that distinguish real crystals from decoys |
| `composition` | predictions under the counts of the sites or an external formula |
| `conformal` | prediction sets with a coverage of 99 % |
| `onnx` | networks opened and run in ONNX Runtime |
| `predict` | predictions for files |

Nothing here needs PyTorch. `atomsight.training` trains the models.
"""

from atomsight.models.base import Model
from atomsight.models.load import bundled_models, load_model
from atomsight.models.prediction import Prediction

__all__ = ["Model", "Prediction", "bundled_models", "load_model"]
