"""One order among neighbours at exactly equal distances, whatever the grid and whatever k."""

from __future__ import annotations

from atomsight.neighbours._compiled import Floats, Ints, Ints32, kernel


@kernel
def settle_ties(
    near: Floats,
    near_at: Ints32,
    order: Ints,
    count: int,
    k: int,
    bs: Ints32,
    run_of: Ints32,
    atom: Ints,
    run_images: Ints,
    off: Ints,
) -> None:
    """Among exactly equal distances, order by motif index, then by cell shift, whatever the grid.

    The run of equals that holds the k-th neighbour is settled as a whole, so that the first k of a wider
    search are always the neighbours that a search for k returns.
    """
    equal = 0
    for t in range(min(k, count - 1)):
        equal += near[order[t]] == near[order[t + 1]]
    if not equal:
        return
    i = 0
    while i < k:
        j = i + 1
        while j < count and near[order[j]] == near[order[i]]:
            j += 1
        for p in range(i + 1, j):
            moving = order[p]
            q = p
            while q > i and _before(
                near_at[moving], near_at[order[q - 1]], bs, run_of, atom, run_images, off
            ):
                order[q] = order[q - 1]
                q -= 1
            order[q] = moving
        i = j


@kernel
def _before(p: int, q: int, bs: Ints32, run_of: Ints32, atom: Ints, run_images: Ints, off: Ints) -> bool:
    i, j = atom[bs[p]], atom[bs[q]]
    if i != j:
        return i < j
    for axis in range(3):
        u = run_images[run_of[p], axis] - off[bs[p], axis]
        v = run_images[run_of[q], axis] - off[bs[q], axis]
        if u != v:
            return u < v
    return False
