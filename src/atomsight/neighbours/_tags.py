"""One whole number for a point of the infinite set: which atom it is and in which cell it lies.

A tag holds, from the top, the atom and three digits for the cell shift, each with half its range added so
that it is never negative. Tags ascend with the atom, then with the cell, so comparing them settles
the order of neighbours at equal distances. Moving a point by whole cells adds the same number to its tag
whatever the atom. Nothing else is carried through the search.
"""

from __future__ import annotations

from atomsight.neighbours._compiled import Ints, kernel


@kernel
def digit_bits(n: int) -> int:
    """Bits for each of the three digits, so that n atoms and they share 62."""
    atom_bits = 0
    while (1 << atom_bits) < n:
        atom_bits += 1
    return (62 - atom_bits) // 3


@kernel
def home(bits: int) -> int:
    """What every tag holds on top of its atom and shift: half the range of each digit."""
    half = 1 << (bits - 1)
    return (half << (2 * bits)) + (half << bits) + half


@kernel
def step(a: int, b: int, c: int, bits: int) -> int:
    """What a tag grows by when its point is moved by (a, b, c) cells."""
    return a * (1 << (2 * bits)) + b * (1 << bits) + c


@kernel
def fit(lo: Ints, hi: Ints, shape: Ints, digits: Ints, apart: int, bits: int) -> bool:
    """Whether the shifts of all cells that the bins ``lo .. hi`` lie in can be held.

    Args:
        lo, hi, shape: (3,), bins, as ``gather`` takes them.
        digits: (3, 3), the digits of a step along each axis of the grid.
        apart: how many cells the digits of an atom itself may add.
        bits: as ``digit_bits`` gives them.
    """
    most = 0
    for digit in range(3):
        reach = apart
        for axis in range(3):
            cells = max(abs(lo[axis] // shape[axis]), abs(hi[axis] // shape[axis]))
            reach += cells * abs(digits[axis, digit])
        most = max(most, reach)
    return most < (1 << (bits - 1))


@kernel
def tag_points(taken: Ints, bits: int, tags: Ints) -> int:
    """Tags of points in their home cell, less the cells ``taken`` (n, 3) by wrapping; the most of those."""
    nought, most = home(bits), 0
    for i in range(tags.shape[0]):
        a, b, c = taken[i, 0], taken[i, 1], taken[i, 2]
        tags[i] = (i << (3 * bits)) + nought - step(a, b, c, bits)
        most = max(most, abs(a), abs(b), abs(c))
    return most


@kernel
def tag_points_alone(bits: int, tags: Ints) -> None:
    """Tags of points in their home cell, whatever wrapping took off."""
    nought = home(bits)
    for i in range(tags.shape[0]):
        tags[i] = (i << (3 * bits)) + nought
