"""Denormal numbers are flushed to zero while a network runs.

The radial functions of far neighbours are exponentials of large negative numbers, many of them denormal
(below 1e-38). Intel processors multiply such numbers a hundred times slower than others, which makes a
network two to three times slower. The predictions do not change. ONNX Runtime's own option would leave the
mode set in the thread that loads a model, for everything that the user computes later. This module restores
the thread.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

FLUSH = 0x8040
"""Bits of the MXCSR register that flush denormal results and operands to zero."""

SIZE, MXCSR = 32, 28
"""Bytes of glibc's ``fenv_t`` on x86-64, and offset of the register in it."""


@contextmanager
def flushed() -> Iterator[None]:
    """Flush denormal numbers to zero in this thread, and restore its state at the end.

    Has an effect only on Linux and x86-64.
    """
    library = _library()
    if library is None:
        yield
        return
    before, within = ctypes.create_string_buffer(SIZE), ctypes.create_string_buffer(SIZE)
    library.fegetenv(before)
    ctypes.memmove(within, before, SIZE)
    register = ctypes.c_uint32.from_buffer(within, MXCSR)
    register.value |= FLUSH
    library.fesetenv(within)
    try:
        yield
    finally:
        library.fesetenv(before)


@cache
def _library() -> Any:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    try:
        return ctypes.CDLL("libm.so.6")
    except OSError:
        return None
