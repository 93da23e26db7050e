"""The search over the structures of a batch: the entry that Python calls, and the loop within."""

from __future__ import annotations

from collections.abc import Callable

from atomsight.neighbours._compiled import Floats, Ints, Ints32, cached_kernel, kernel, sources
from atomsight.neighbours._search import search
from atomsight.neighbours._workspace import Scratch, Workspace, scratch_for, workspace

ROOM = 1024
"""Points that a block holds before it has to grow; a batch of small cells then shares one."""


@kernel
def _search_on(
    lattices: Floats,
    fractional: Floats,
    offsets: Ints,
    own: Ints,
    free: Floats,
    query_offsets: Ints,
    k: int,
    distances: Floats,
    indices: Ints,
    images: Ints32,
    first: int,
    last: int,
    work: Workspace,
    scratch: Scratch,
) -> tuple[int, int]:
    """``search`` on structures ``first .. last - 1``, until one of them gives another verdict than 0.

    The search is put into this loop, and no references are counted here: to hand it the forty arrays of its
    room anew for each small cell took a sixth of the time.

    Returns:
        The last verdict, and the number of its structure.
    """
    for c in range(first, last):
        p, q = query_offsets[c], query_offsets[c + 1]
        if p == q:
            continue
        verdict = search(
            lattices[c],
            fractional[offsets[c] : offsets[c + 1]],
            own[p:q] if own.shape[0] else own,
            free[p:q] if free.shape[0] else free,
            k,
            distances[p * k : q * k],
            indices[p * k : q * k],
            images[p * k * 3 : q * k * 3] if images.shape[0] else images,
            work,
            scratch,
        )
        if verdict:
            return verdict, c
    return 0, 0


def _bind(made_from: str) -> Callable[..., tuple[int, int]]:
    @cached_kernel
    def search_many(
        lattices: Floats,
        fractional: Floats,
        offsets: Ints,
        own: Ints,
        free: Floats,
        query_offsets: Ints,
        k: int,
        distances: Floats,
        indices: Ints,
        images: Ints32,
        first: int,
        last: int,
    ) -> tuple[int, int]:
        """Search structures ``first .. last - 1`` of a batch (see ``batch`` for the layout).

        Returns:
            0, 0; or the verdict on the first structure that cannot be searched (``knn.VERDICTS``), and its
            number.
        """
        assert made_from
        most, most_queries = 0, 0
        for c in range(first, last):
            most = max(most, offsets[c + 1] - offsets[c])
            most_queries = max(most_queries, query_offsets[c + 1] - query_offsets[c])
        work, scratch = workspace(most, most_queries), scratch_for(ROOM)
        flat_distances, flat_indices, flat_images = distances.ravel(), indices.ravel(), images.ravel()
        verdict, c = -1, first
        while verdict < 0:
            verdict, c = _search_on(
                lattices, fractional, offsets, own, free, query_offsets, k,
                flat_distances, flat_indices, flat_images, c, last, work, scratch,
            )  # fmt: skip
            if verdict < 0:
                scratch = scratch_for(-verdict + -verdict // 2)
        return verdict, c

    return search_many


search_many = _bind(sources())
