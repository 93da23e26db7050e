"""Compilation of numerical kernels: only where it pays, once per machine, announced, optionally cached.

A kernel is a Python function that Numba can compile. Compilation takes seconds, so that small inputs are
first answered by the Python function itself, or by a NumPy function that gives the same bits. A kernel is
compiled when an input is large or when the Python function has taken `PATIENCE` seconds in this process. It
takes `SHORT_PATIENCE` where Numba is already in use and the machine code is on disk.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")

PATIENCE = 0.3
"""Seconds of processor time that one kernel may run as plain Python in a process before it is compiled."""

SHORT_PATIENCE = 0.02
"""The same in a process that has loaded machine code of another kernel, if that of this one is kept too."""

_told: set[str] = set()

_loaded: set[str] = set()
"""Kernels whose machine code was loaded from disk in this process."""


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


on_compile: Callable[[str], None] = _to_stderr
"""Receives one message per process, before the first compilation. Replace it to show it in another way."""


class Kernel(Generic[P, R]):
    """A function that Numba compiles when it pays.

    Attributes:
        function: the Python function.
        small: inputs whose arrays hold at most this many elements in all may be answered by Python; 0: none.
        options: keyword arguments of ``numba.njit``.
    """

    def __init__(self, function: Callable[P, R], small: int, options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.small = small
        self.options = options
        self.spent = 0.0

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Answer by Python or by machine code, which give the same bits."""
        small = self.interprets(sum(getattr(value, "size", 0) for value in args) if self.small else 1)
        result: R = (
            self.interpret(self.function, *args, **kwargs) if small else self.dispatcher(*args, **kwargs)
        )
        return result

    def interprets(self, size: int) -> bool:
        """Whether an input with this many elements is answered without compilation."""
        if size > self.small or self.spent >= PATIENCE or "dispatcher" in self.__dict__:
            return False
        return not (_loaded and self.spent >= SHORT_PATIENCE and self._is_kept)

    def interpret(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a Python function in place of the machine code, and count its time."""
        start = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            self.spent += time.thread_time() - start

    @functools.cached_property
    def _is_kept(self) -> bool:
        index = getattr(_cache_of(self.function), "_cache_file", None)
        return index is not None and os.path.isfile(index._index_path)

    @functools.cached_property
    def dispatcher(self) -> Any:
        """Numba's compiled function. Its machine code is made or loaded on its first call."""
        numba = _numba()
        dispatcher = numba.njit(error_model="numpy", nogil=True, **self.options)(self.function)
        dispatcher.compile = _for_types_alone(dispatcher.compile)
        if not self.options.get("no_cpython_wrapper"):
            dispatcher._cache = _cache_of(self.function)
        return dispatcher

    @property
    def py_func(self) -> Callable[P, R]:
        """The Python function, under the name that Numba uses."""
        return self.function

    @property
    def targetoptions(self) -> Any:
        """Numba's options, which it looks for when it inlines one kernel into another."""
        return self.dispatcher.targetoptions


@overload
def compiled(function: Callable[P, R]) -> Kernel[P, R]: ...
@overload
def compiled(*, small: int = 0, **options: Any) -> Callable[[Callable[P, R]], Kernel[P, R]]: ...
def compiled(function: Any = None, *, small: int = 0, **options: Any) -> Any:
    """Make a kernel of a function that Python calls. A decorator, with or without arguments.

    Args:
        function: written in the part of Python that Numba compiles.
        small: inputs whose arrays hold at most this many elements in all may be answered by the Python
            function, see the module.
        options: further arguments of ``numba.njit``.
    """
    if function is None:
        return lambda wrapped: Kernel(wrapped, small, options)
    return Kernel(function, small, options)


@overload
def part(function: Callable[P, R]) -> Kernel[P, R]: ...
@overload
def part(*, allocates: bool = False) -> Callable[[Callable[P, R]], Kernel[P, R]]: ...
def part(function: Any = None, *, allocates: bool = False) -> Any:
    """Make a kernel of a function that only other kernels call once they are compiled.

    It gets no entry point from Python of its own, which halves the time of its compilation. Called from
    Python it runs as Python. Unless it allocates arrays, it counts no references to those that it is given:
    each count is an atomic operation, which can take half the time of a kernel.
    """
    if function is None:
        return lambda wrapped: part(wrapped) if not allocates else _Part(wrapped, sys.maxsize, _ENTRYLESS)
    return _Part(function, sys.maxsize, {**_ENTRYLESS, "_nrt": False})


_ENTRYLESS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class _Part(Kernel[P, R]):
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


@functools.cache
def _numba() -> Any:
    """Numba, taught to take a `Kernel` for its dispatcher and to announce compilations."""
    import numba
    from numba.core import event
    from numba.extending import typeof_impl

    @typeof_impl.register(Kernel)
    def _typeof(value: Kernel[..., Any], context: Any) -> Any:
        return typeof_impl(value.dispatcher, context)

    class Announcer(event.Listener):
        def on_start(self, event: Any) -> None:
            module = getattr(event.data["dispatcher"].py_func, "__module__", "")
            if module.startswith("atomsight."):
                _announce()

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Announcer())
    return numba


def _for_types_alone(compile_: Callable[..., Any]) -> Callable[..., Any]:
    """Numba's ``compile`` without its special versions for arguments that are constants of the caller."""
    from numba.core.types import unliteral

    return lambda types: compile_(tuple(unliteral(kind) for kind in types))


def _announce() -> None:
    if "compiling" not in _told:
        _told.add("compiling")
        where = _cache_folder()
        kept = f"kept in {where}" if where else "not kept: no folder for it can be written"
        on_compile(
            "atomsight: compiling its numerical kernels for this machine, which happens once and takes "
            f"about {SECONDS} s; {kept}"
        )


SECONDS = "8 to 30"
"""Processor time of the compilations of one command on a busy core: 8 s for `predict` of an inorganic
crystal, 30 s for a dataset. Other commands compile nothing for one small crystal."""


def _cache_folder() -> str | None:
    from numba.core.caching import FunctionCache

    try:
        return str(FunctionCache(_announce).cache_path)
    except (RuntimeError, OSError):
        return None


@functools.cache
def sources() -> str:
    """Digest of the files that hold kernels.

    Numba itself looks only at the file of the function that Python calls, and would use machine code that was
    made from an older file of a function which that one calls.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        text = path.read_bytes()
        if b"from atomsight.geometry.jit import" in text:
            digest.update(text)
    return digest.hexdigest()


def _cache_of(function: Callable[..., Any]) -> Any:
    """Numba's cache on disk, which here may be missing, read-only, damaged or full."""
    from numba.core.caching import FunctionCache, NullCache

    class Cache(FunctionCache):
        def _index_key(self, signature: Any, codegen: Any) -> Any:
            return (*super()._index_key(signature, codegen), sources())

        def load_overload(self, signature: Any, context: Any) -> Any:
            try:
                found = super().load_overload(signature, context)
                if found is not None:
                    _loaded.add(function.__name__)
                return found
            except Exception as error:  # a damaged file raises errors of any kind; compiling mends it
                _warn(error)
                return None

        def save_overload(self, signature: Any, data: Any) -> None:
            try:
                super().save_overload(signature, data)
            except OSError as error:
                _warn(error)

    try:
        return Cache(function)
    except (RuntimeError, OSError) as error:  # no folder can be written
        _warn(error)
        return NullCache()


def _warn(error: Exception) -> None:
    if "cache" not in _told:
        _told.add("cache")
        warnings.warn(
            f"compiled kernels cannot be kept on disk and are compiled again by each process ({error}); "
            "set NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
