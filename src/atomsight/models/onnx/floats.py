"""Denormal numbers taken as zero while a network runs.

The radial functions of far neighbours are exponentials of large negative numbers, many of them denormal
(below 1e-38). Intel's processors multiply such numbers a hundred times slower than others, which makes a
whole network two to three times slower; the answers do not change by them. ONNX Runtime's own option would
leave the thread that loads a model flushing ever after, with all that the user computes in it; here the
state of the thread is put back.
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
"""Bits of the MXCSR register: results that are denormal become zero, and so do operands."""

SIZE, MXCSR = 32, 28
"""Bytes of glibc's ``fenv_t`` on x86-64, and where the register lies in it."""


@contextmanager
def flushed() -> Iterator[None]:
    """Within, this thread takes denormal numbers as zero; after, it does what it did before.

    Does nothing but on Linux and x86-64: elsewhere the register is another, and most need no help.
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
