"""The architectures that can be run: each folder of this package with a module ``inference``.

That module names its class in ``MODEL``. Nothing else lists the architectures.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from atomsight.core.errors import ModelError

if TYPE_CHECKING:
    from atomsight.models.base import Model


def model_class(name: str, source: str) -> type[Model]:
    """The class that runs a model file.

    Args:
        name: the architecture, such as ``two-stage``, as the file states it.
        source: where the file came from, for the message.

    Raises:
        ModelError: this version of atomsight has no such architecture.
    """
    folder = f"atomsight.models.{name.replace('-', '_')}"
    if name.replace("-", "").isalnum() and find_spec(folder) and find_spec(f"{folder}.inference"):
        found: type[Model] | None = getattr(import_module(f"{folder}.inference"), "MODEL", None)
        if found is not None:
            return found
    raise ModelError(f"{source} is a model of kind {name!r}, which this version of atomsight does not know")
