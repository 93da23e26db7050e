"""The architectures that can be run: each folder of this package with a module ``inference``.

That module names its class in ``MODEL``. Nothing else lists the architectures.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.errors import ModelError

if TYPE_CHECKING:
    from atomsight.models.base import Model

PACKAGE = "atomsight.models"


def folders_with(module: str, package: str) -> tuple[str, ...]:
    """Return the names of the architectures in a package, in alphabetical order.

    Args:
        module: file name, without its suffix, of the module that a folder must hold.
        package: dotted name of a package of atomsight.
    """
    folder = Path(__file__).parents[1] / package.rpartition(".")[2]
    return tuple(sorted(path.parent.name.replace("_", "-") for path in folder.glob(f"*/{module}.py")))


def implementation(name: str, module: str, package: str, attribute: str) -> Any:
    """Return the class that a module of an architecture names, or None if it names none.

    Args:
        name: one of `folders_with`.
        module: as in `folders_with`.
        package: as in `folders_with`.
        attribute: name of the class in the module.
    """
    return getattr(import_module(f"{package}.{name.replace('-', '_')}.{module}"), attribute, None)


def model_class(name: str, source: str) -> type[Model]:
    """Return the class that runs a model file.

    Args:
        name: the architecture, such as ``two-stage``, as the file states it.
        source: where the file came from, for the message.

    Raises:
        ModelError: this version of atomsight has no such architecture.
    """
    if name in folders_with("inference", PACKAGE):
        found: type[Model] | None = implementation(name, "inference", PACKAGE, "MODEL")
        if found is not None:
            return found
    raise ModelError(f"{source} is a model of kind {name!r}, which this version of atomsight does not know")
