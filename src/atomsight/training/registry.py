"""The architectures that can be trained: each folder of this package with a module ``training``.

That module names its class in ``ARCHITECTURE``. Nothing else lists the architectures.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from atomsight.core.errors import InputError

if TYPE_CHECKING:
    from atomsight.training.architecture import Architecture


def architectures() -> tuple[str, ...]:
    """Names of the architectures, in alphabetical order."""
    folders = (path.parent.name for path in Path(__file__).parent.glob("*/training.py"))
    return tuple(sorted(name.replace("_", "-") for name in folders))


def check_architecture(name: str) -> None:
    """Refuse an architecture that does not exist.

    Raises:
        InputError: there is none of that name.
    """
    if name not in architectures():
        raise InputError(f"no model of kind {name!r}; the kinds are {', '.join(architectures())}")


def architecture_class(name: str) -> type[Architecture]:
    """The class that trains and exports an architecture; imports PyTorch.

    Raises:
        InputError: there is none of that name.
    """
    check_architecture(name)
    found: type[Architecture] = import_module(
        f"atomsight.training.{name.replace('-', '_')}.training"
    ).ARCHITECTURE
    return found
