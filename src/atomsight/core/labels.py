"""Labels of sites in one buffer, without a Python object for each until it is accessed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Labels(Sequence[str]):
    """A sequence of strings in the layout of Arrow; equal to a tuple of the same strings.

    Attributes:
        data: (bytes,) uint8, UTF-8.
        bounds: (n + 1,) int64, start of each string, and end of the last one; bytes before the first or after
            the last do not belong to it.
    """

    __slots__ = ("bounds", "data")

    def __init__(self, data: NDArray[np.uint8], bounds: NDArray[np.int64]) -> None:
        self.data = data
        self.bounds = bounds

    @classmethod
    def of(cls, strings: Sequence[str]) -> Labels:
        """Convert any sequence of strings.

        Args:
            strings: the strings; `Labels` are returned unchanged.

        Returns:
            The labels.
        """
        if isinstance(strings, Labels):
            return strings
        words = [string.encode() for string in strings]
        bounds = np.zeros(len(words) + 1, np.int64)
        np.cumsum([len(word) for word in words], out=bounds[1:])
        return cls(np.frombuffer(b"".join(words), np.uint8), bounds)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return tuple(self)[index]
        at = range(len(self))[index]
        return str(self.data[self.bounds[at] : self.bounds[at + 1]].tobytes(), "utf-8")

    def __iter__(self) -> Iterator[str]:
        first, last = self.bounds[0], self.bounds[-1]
        data = self.data[first:last].tobytes()
        return iter([str(data[a:b], "utf-8") for a, b in pairwise((self.bounds - first).tolist())])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, Labels)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __reduce__(self) -> tuple[type[Labels], tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        begin, end = self.bounds[0], self.bounds[-1]
        return Labels, (self.data[begin:end], self.bounds - begin)

    def __repr__(self) -> str:
        return repr(tuple(self))
