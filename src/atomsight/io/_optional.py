"""Packages of the optional extras, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from atomsight.core.errors import MissingExtraError


def optional(module: str, extra: str, purpose: str) -> Any:
    """A module of a package that an extra brings.

    Raises:
        MissingExtraError: the package is not installed; the message names the extra and the purpose.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(module.split(".")[0], extra, purpose) from error
