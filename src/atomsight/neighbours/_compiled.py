"""How the kernels are compiled: without the GIL, cached where a folder can be written, and announced."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from atomsight.compiled import compiled

Function = TypeVar("Function", bound=Callable[..., Any])
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Ints32 = NDArray[np.int32]


def kernel(function: Function) -> Function:
    """Compile a function into those that call it: strict IEEE arithmetic, without the GIL.

    It makes no arrays and counts no references to those it is given: an atomic step each time that one is
    named, which took over half the time of a search. Whoever calls it holds its arrays.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
    return cast(Function, numba.njit(**options)(function))


def inlined_kernel(function: Function) -> Function:
    """As ``kernel``, its code put where it is called from.

    For what runs once per query or block: handing over ten arrays, seven words each, costs as much as the
    work that is done on them.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": True}
    return cast(Function, numba.njit(**options)(function))


def allocating_kernel(function: Function) -> Function:
    """As ``kernel``, for a function that makes arrays."""
    return cast(Function, numba.njit(nogil=True, error_model="numpy")(function))


def cached_kernel(function: Function) -> Function:
    """Compile a function that Python calls, once per machine.

    The machine code is kept beside the module, else in the user's cache folder (or ``NUMBA_CACHE_DIR``);
    where neither can be written the function still works and is compiled once per process. It is made anew
    when the function's own file changes, or what its closure holds: see ``sources``.
    """
    return compiled(nogil=True, error_model="numpy")(function)


def sources() -> str:
    """Digest of the kernels' source files, for the closure of a cached kernel.

    Numba itself would go on using machine code that was made from an older file of a function called.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("_*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


on_compile: Callable[[str], None] = _to_stderr
"""Receives one sentence before machine code has to be made. Replace it to show it another way."""


@contextmanager
def announced() -> Iterator[None]:
    """Tell ``on_compile`` once if anything has to be compiled inside; a start from the cache says nothing."""
    from numba.core import event

    class Announcer(event.Listener):
        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                self.said = True
                on_compile(
                    "atomsight: compiling the neighbour search for this machine, once; some seconds ..."
                )

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Announcer()):
        yield
