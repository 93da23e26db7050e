"""How many bytes one source has unpacked to, counted while they are read."""

from __future__ import annotations

from typing import IO

from atomsight.io.budgets import Budget
from atomsight.io.policy import SkipError


class Meter:
    """Counts what one file unpacks to, that of compressed files inside of an archive included.

    Args:
        size: bytes of the file itself.
        budget: says how many it may unpack to.
    """

    def __init__(self, size: int, budget: Budget) -> None:
        self.limit = budget.unpacked(size)
        self._taken = 0

    def take(self, count: int) -> None:
        """Count some bytes.

        Raises:
            SkipError: ``too_large``, where the file has unpacked to more than its limit.
        """
        self._taken += count
        self.check(self._taken)

    def check(self, total: int) -> None:
        """Raise SkipError where `total` bytes are more than the limit."""
        if total > self.limit:
            raise SkipError("too_large", f"it unpacks to more than the limit of {self.limit} bytes")


class Metered:
    """A stream whose bytes are counted.

    Args:
        stream: anything with ``read`` and ``readline``.
        meter: counts them.
    """

    def __init__(self, stream: IO[bytes], meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes."""
        data = self._stream.read(size)
        self._meter.take(len(data))
        return data

    def readline(self, size: int = -1) -> bytes:
        """One line of at most `size` bytes."""
        line = self._stream.readline(size)
        self._meter.take(len(line))
        return line

    def __enter__(self) -> Metered:
        return self

    def __exit__(self, *unused: object) -> None:
        self._stream.close()
