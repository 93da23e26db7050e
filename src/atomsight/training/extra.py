"""The packages of the extra ``train``, and the error that names it where they are missing."""

from __future__ import annotations

import os
from typing import Any

from atomsight.core.errors import MissingExtraError


def require_training_packages() -> None:
    """Check that the packages for training are installed.

    Raises:
        MissingExtraError: one is not installed.
    """
    # On a machine with other load, spinning OpenMP threads make the small steps of these networks a hundred
    # times slower. OpenMP reads this when PyTorch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for package in ("torch", "lightning", "onnx"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtraError(package, "train", "training a model") from error


def onnx_library() -> Any:
    """Return the package onnx, which is in the extra ``train``.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "train", "exporting a model") from error
    return onnx
