"""Find and open a model: a bundled one by name, a run folder, or an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from atomsight.core.errors import ModelError
from atomsight.models.artefacts import fingerprint_of
from atomsight.models.conformal import rule_of
from atomsight.models.onnx.session import FORMAT, open_session
from atomsight.models.registry import model_class

if TYPE_CHECKING:
    from atomsight.models.base import Model

PRETRAINED = Path(__file__).parent / "pretrained"
"""Folder of the bundled weights ``<name>.onnx`` and their model cards ``<name>.md``."""

DEFAULT = "masked-site-isotypes"
"""Name of the default model."""

MODEL_FILE = "model.onnx"
"""The exported model within a run folder."""


def bundled_models() -> tuple[str, ...]:
    """Return the names of the bundled models, in alphabetical order."""
    return tuple(sorted(path.stem for path in PRETRAINED.glob("*.onnx")))


def load_model(name: str | Path | None = None, *, threads: int = 0) -> Model:
    """Open a trained model for prediction on ONNX Runtime; PyTorch is not needed.

    Args:
        name: name of a bundled model, path of a run folder, or path of an ``.onnx`` file; None or ``default``
            is the bundled default.
        threads: threads that one run of the network may use; 0 leaves it to ONNX Runtime (all cores).

    Returns:
        The model.

    Raises:
        ModelError: there is no such model, the run has not ended yet, the file is damaged or of an unknown
            architecture, or a bundled file is not the one released.

    Example:
        >>> load_model("two-stage", threads=1)
        <two-stage model two-stage: k = 10, 88 elements>
    """
    label, path = _locate(DEFAULT if name in (None, "default") else name)
    fingerprint = fingerprint_of(path, FORMAT)
    session = open_session(path, threads)
    kind = session.get_modelmeta().custom_metadata_map.get("kind", "")
    model = model_class(kind, str(path))(label, session, fingerprint)
    model.set_rule = rule_of(model, path)
    return model


def model_file(name: str | Path) -> Path:
    """Return the ONNX file that `load_model` opens.

    Raises:
        ModelError: there is none.
    """
    return _locate(DEFAULT if name == "default" else name)[1]


def _locate(name: str | Path) -> tuple[str, Path]:
    text, path = str(name), Path(name)
    if text in bundled_models():
        return text, PRETRAINED / f"{text}.onnx"
    if path.is_dir():
        if (path / MODEL_FILE).is_file():
            return path.resolve().name, path / MODEL_FILE
        if (path / "settings.json").is_file():
            raise ModelError(
                f"the training run {path} has not ended; go on with: atomsight train ... --resume"
            )
        raise ModelError(f"{path} is no run folder: it holds neither {MODEL_FILE} nor settings.json")
    if path.is_file():
        return path.stem, path
    known = ", ".join(bundled_models()) or "none"
    raise ModelError(f"no model {text!r}: not a run folder, not a file, and not bundled (bundled: {known})")
