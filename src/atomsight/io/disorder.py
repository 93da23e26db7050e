"""Disorder and partial occupancy: the one component that is kept, or the reason why none can be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS
from atomsight.io._atoms import AtomTable
from atomsight.io.policy import QualityPolicy, SkipError

FULL = 0.999
"""Occupancy from which on a site is full."""


def resolve(
    table: AtomTable, lattice: NDArray[np.float64], policy: QualityPolicy
) -> tuple[AtomTable, frozenset[str]]:
    """The rows of the major component, all of them full, and flags on what was done.

    Raises:
        SkipError: ``disorder``, ``partial_occupancy`` or ``mixed_occupancy``.
    """
    full = table.occupancy >= FULL
    if table.groups is None and full.all():
        return table, frozenset()
    flags = set()
    keep = table.occupancy > 0.0  # an occupancy of 0 marks a placeholder
    settled = full.copy()
    if table.groups is not None:
        chosen, labelled = _major_groups(table, policy)
        if not (chosen | ~labelled).all():
            flags.add("disorder_resolved")
        keep &= chosen | ~labelled
        settled |= labelled
    rest = np.flatnonzero(keep & ~settled)
    if len(rest):
        keep[rest] = _shared_positions(table, rest, lattice, policy)
        flags.add("occupancy_rounded")
    return table.take(keep), frozenset(flags)


def _major_groups(table: AtomTable, policy: QualityPolicy) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the rows in kept disorder groups, and of the rows in any group.

    Each assembly keeps the group with the highest mean occupancy (the first on a tie). The groups must add up
    to one: then exactly one of them is present in every cell, and the kept one is whole.
    """
    groups = table.groups or []
    assemblies = table.assemblies or [""] * len(groups)
    rows: dict[str, dict[str, list[int]]] = {}
    for i, (assembly, group) in enumerate(zip(assemblies, groups, strict=True)):
        if group:
            rows.setdefault(assembly, {}).setdefault(group, []).append(i)
    chosen = np.zeros(len(groups), bool)
    labelled = np.array([bool(group) for group in groups])
    for assembly, members in rows.items():
        name = f"disorder assembly {assembly}" if assembly else "the disorder"
        if all(table.occupancy[which].min() >= FULL for which in members.values()):
            chosen[[i for which in members.values() for i in which]] = True  # labels without disorder
            continue
        about = [group for group in members if group.startswith("-")]
        if about:
            text = f"group {about[0]} is disordered about a special position"
            raise SkipError("disorder", f"{text}: no component keeps the symmetry")
        shares = {group: float(table.occupancy[which].mean()) for group, which in members.items()}
        best = max(shares, key=lambda group: shares[group])
        alone = len(shares) == 1 and shares[best] >= policy.min_occupancy
        whole = len(shares) > 1 and abs(sum(shares.values()) - 1.0) <= policy.occupancy_slack
        if not alone and not (whole and policy.resolve_disorder):
            told = ", ".join(f"{group}: {share:.2f}" for group, share in shares.items())
            why = "is not to be resolved" if whole else "has no whole component"
            raise SkipError("disorder", f"{name} {why} (occupancy of its groups: {told})")
        chosen[members[best]] = True
    return chosen, labelled


def _shared_positions(
    table: AtomTable, rest: NDArray[np.int64], lattice: NDArray[np.float64], policy: QualityPolicy
) -> NDArray[np.bool_]:
    """Which of the partly occupied rows outside of labelled disorder are kept: one for each position."""
    keep = np.zeros(len(rest), bool)
    free = np.ones(len(rest), bool)
    for i in range(len(rest)):
        if not free[i]:
            continue
        gap = table.fractional[rest] - table.fractional[rest[i]]
        gap -= np.round(gap)
        here = np.flatnonzero(free & (((gap @ lattice) ** 2).sum(axis=1) <= policy.merge_distance**2))
        free[here] = False
        shares: dict[int, float] = {}
        for row in rest[here].tolist():
            number = int(table.numbers[row])
            shares[number] = shares.get(number, 0.0) + float(table.occupancy[row])
        best = max(shares, key=lambda number: shares[number])
        if shares[best] < policy.min_occupancy:
            label = table.labels[rest[i]]
            if len(shares) > 1:
                told = ", ".join(f"{SYMBOLS[number]} {share:.2f}" for number, share in shares.items())
                text = f"atom {label!r} shares its position between elements: {told}"
                raise SkipError("mixed_occupancy", text)
            text = f"atom {label!r} has occupancy {shares[best]:.3g} and no labelled alternative"
            raise SkipError("partial_occupancy", text)
        keep[next(j for j in here if int(table.numbers[rest[j]]) == best)] = True
    return keep
