"""Numba kernels: kept on disk between runs where a folder can be written, working all the same elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def compiled(function: Function) -> Function: ...
@overload
def compiled(**options: Any) -> Callable[[Function], Function]: ...
def compiled(function: Function | None = None, **options: Any) -> Any:
    """Compile a function on its first call, once per machine. A decorator, with or without ``njit`` options.

    The machine code is kept beside the module, else in the user's cache folder (or ``NUMBA_CACHE_DIR``). If
    neither can be written, the function is compiled once per process.
    """
    if function is None:
        return lambda wrapped: _compiled(wrapped, options)
    return _compiled(function, options)


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    try:
        return cast(Function, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # numba found no folder that it may write a cache into
        return cast(Function, numba.njit(**options)(function))
