"""The architectures that can be trained: each folder of this package with a module ``training``.

That module names its class in ``ARCHITECTURE``. Nothing else lists the architectures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomsight.core.errors import InputError
from atomsight.models.registry import folders_with, implementation

if TYPE_CHECKING:
    from atomsight.training.architecture import Architecture

PACKAGE = "atomsight.training"


def architectures() -> tuple[str, ...]:
    """Return the names of the architectures, in alphabetical order."""
    return folders_with("training", PACKAGE)


def check_architecture(name: str) -> None:
    """Refuse an architecture that does not exist.

    Raises:
        InputError: there is none of that name.
    """
    if name not in architectures():
        raise InputError(f"no model of kind {name!r}; the kinds are {', '.join(architectures())}")


def architecture_class(name: str) -> type[Architecture]:
    """Return the class that trains and exports an architecture; imports PyTorch.

    Raises:
        InputError: there is none of that name.
    """
    check_architecture(name)
    found: type[Architecture] = implementation(name, "training", PACKAGE, "ARCHITECTURE")
    return found
