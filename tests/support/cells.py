"""Cells of every kind that the tests draw from, and crystals made of them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal

Set = tuple[NDArray[np.float64], NDArray[np.float64]]


def rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A proper rotation, drawn evenly."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def lattice_of(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """A lattice: ``compact``, ``needle``, ``flat``, ``skewed``, ``nearly degenerate`` or ``cubic``."""
    if kind == "cubic":
        return np.eye(3) * rng.uniform(2, 6)
    if kind == "needle":
        edges = rng.uniform([1.5, 1.5, 15], [3, 3, 25])
    elif kind == "flat":
        edges = rng.uniform([8, 8, 1.5], [14, 14, 2.5])
    else:
        edges = rng.uniform(2, 8, 3)
    lattice = np.diag(edges)
    lattice[1, 0], lattice[2, 0], lattice[2, 1] = rng.uniform(-0.5, 0.5, 3) * edges[[0, 0, 1]]
    if kind == "skewed":
        change = np.eye(3, dtype=int)
        change[1, 0], change[2, 0], change[2, 1] = rng.integers(-2, 3, 3)
        lattice = change @ lattice
    if kind == "nearly degenerate":
        lattice[2] = lattice[0] + 0.7 * lattice[1] + [0, 0, 0.9]
    return lattice @ rotation(rng)


KINDS = ("compact", "needle", "flat", "skewed", "nearly degenerate", "cubic")


@st.composite
def periodic_sets(draw: st.DrawFn, most: int = 12) -> Set:
    """A lattice of any kind and 1 to ``most`` points in and around it; sometimes some coincide."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lattice = lattice_of(draw(st.sampled_from(KINDS)), rng)
    n = draw(st.integers(1, most))
    fractional = rng.uniform(-1.5, 1.5, (n, 3))
    if draw(st.booleans()):
        fractional = np.round(fractional * 4) / 4  # special positions: exact ties, and points that coincide
    elif n > 1 and draw(st.booleans()):
        fractional[-1] = fractional[0] + rng.integers(-2, 3, 3)
    return lattice, fractional


def crystal_of(lattice: NDArray[np.float64], fractional: NDArray[np.float64]) -> Crystal:
    """A crystal of carbon in which every point is a site of its own."""
    n = len(fractional)
    labels = tuple(f"C{i + 1}" for i in range(n))
    return Crystal("set", lattice, fractional, np.full(n, 6, np.uint8), np.arange(n, dtype=np.int32), labels)
