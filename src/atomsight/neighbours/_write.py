"""A row of the result, from the k first pairs of squared distance and tag."""

from __future__ import annotations

from atomsight.neighbours._compiled import Floats, Ints, Ints32, inlined_kernel, kernel
from atomsight.neighbours._simd import LANES, write_eight, write_shifts


@inlined_kernel
def write_row(
    squared: Floats,
    tags: Ints,
    k: int,
    bits: int,
    moved: Ints,
    who: int,
    row: int,
    distances: Floats,
    indices: Ints,
    images: Ints32,
) -> None:
    """Distances, atoms and cell shifts of k neighbours.

    Args:
        squared, tags: the pairs, in order; eight more places are read.
        bits: of each digit of a tag; the digits are shifts in the caller's lattice.
        moved, who: ``moved[who]``, (3,), are the cells that wrapping took off the query.
        row: of the result.
        distances, indices: (m * k,), the result.
        images: (m * k * 3,), or empty: not wanted.
    """
    half = 1 << (bits - 1)
    for t in range(0, k, LANES):
        write_eight(squared, tags, t, k - t, bits, distances, indices, row * k + t)
    if images.shape[0]:
        a, b, c = moved[who, 0] - half, moved[who, 1] - half, moved[who, 2] - half
        for t in range(0, k, LANES):
            write_shifts(tags, t, k - t, bits, a, b, c, images, (row * k + t) * 3)


@kernel
def write_row_of_reduced(
    squared: Floats,
    tags: Ints,
    k: int,
    bits: int,
    moved: Ints,
    who: int,
    row: int,
    distances: Floats,
    indices: Ints,
    images: Ints32,
    transform: Ints,
    taken: Ints,
) -> None:
    """``write_row`` where the digits are shifts in the reduced lattice, before wrapping is made up for.

    ``transform`` (3, 3) turns them into shifts in the caller's lattice, ``taken`` (n, 3) is what wrapping
    took off each atom.
    """
    for t in range(0, k, LANES):
        write_eight(squared, tags, t, k - t, bits, distances, indices, row * k + t)
    if images.shape[0]:
        half, ones = 1 << (bits - 1), (1 << bits) - 1
        for t in range(k):
            a = ((tags[t] >> (2 * bits)) & ones) - half
            b = ((tags[t] >> bits) & ones) - half
            c = (tags[t] & ones) - half
            atom = tags[t] >> (3 * bits)
            for axis in range(3):
                shift = a * transform[0, axis] + b * transform[1, axis] + c * transform[2, axis]
                images[(row * k + t) * 3 + axis] = shift - taken[atom, axis] + moved[who, axis]
