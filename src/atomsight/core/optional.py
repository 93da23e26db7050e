"""Packages of the optional extras, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from atomsight.core.errors import MissingExtraError


def optional(module: str, extra: str, purpose: str) -> Any:
    """Import a module of a package that an extra brings.

    Args:
        module: full name of the module.
        extra: name of the extra.
        purpose: what needs the package, for the message.

    Returns:
        The module.

    Raises:
        MissingExtraError: the package is not installed; the message names the extra and the purpose.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(module.split(".")[0], extra, purpose) from error
