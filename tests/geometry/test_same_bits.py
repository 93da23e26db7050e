"""A kernel gives the same bits whether Python runs it or its machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from atomsight.geometry.bonds import connect, molecules, rings
from atomsight.geometry.bonds.connect import bond_graph
from atomsight.geometry.bonds.radii import METAL
from atomsight.geometry.jit import Kernel
from atomsight.geometry.neighbours import directions, nearest_neighbours
from atomsight.geometry.symmetry import _kernels, _sets, group
from atomsight.geometry.symmetry.expand import _expand
from cells import crystal_of

Arguments = tuple[Any, ...]


def operations(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Operations of P 21/c, one of them twice."""
    signs = np.array([[1, 1, 1], [-1, 1, -1], [-1, -1, -1], [1, -1, 1]])
    rotations = np.array([np.diag(sign) for sign in signs], np.float64)
    translations = np.array([[0, 0, 0], [0, 0.5, 0.5], [0, 0, 0], [0, 0.5, 0.5]])
    order = np.append(rng.permutation(4), rng.integers(4))
    return rotations[order], translations[order]


def cell(rng: np.random.Generator) -> np.ndarray:
    return np.diag(rng.uniform(4, 9, 3)) + rng.uniform(-1, 1, (3, 3))


def motif(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A cell, and points of two classes that are repeated along an axis."""
    half, classes = rng.random((6, 3)) / [1, 1, 2], np.array([1, 1, 1, 0, 0, 0])
    return cell(rng), np.concatenate([half, half + np.array([0, 0, 0.5])]), np.tile(classes, 2)


def of_primitive(rng: np.random.Generator) -> Arguments:
    lattice, points, classes = motif(rng)
    return lattice, points, classes, 0.01, np.arange(len(points))


def of_fill(rng: np.random.Generator) -> Arguments:
    lattice, points, n = cell(rng), rng.random((7, 3)), 7
    found = nearest_neighbours(lattice, points, 9)
    bounds, orbits = np.array([0, n]), np.arange(n, dtype=np.int32)
    out = np.zeros((n, 9), np.uint32), np.zeros((n, 9, 3), np.int8)
    return lattice[None], points, orbits, bounds, np.arange(n), bounds, *found, *out


def of_both_ways(rng: np.random.Generator) -> Arguments:
    distances, near, images = nearest_neighbours(cell(rng), rng.random((20, 3)), 12)
    return distances < 3.0, near, images


def bonds(rng: np.random.Generator) -> Any:
    crystal = crystal_of(cell(rng), rng.random((30, 3)))
    crystal.numbers[:] = rng.choice([6, 6, 7, 8, 26, 29], 30)
    return bond_graph(crystal)


def of_behind(rng: np.random.Generator) -> Arguments:
    graph = bonds(rng)
    held = graph.count(~METAL[graph.numbers[graph.second]])
    return graph.numbers, graph.start, graph.first, graph.second, graph.image, graph.length, held


def of_walk(rng: np.random.Generator) -> Arguments:
    graph = bonds(rng)
    return graph.start, graph.first, graph.second, graph.image


def of_rings(rng: np.random.Generator) -> Arguments:
    graph = bonds(rng)
    return graph.start, graph.second, graph.image


KERNELS: dict[str, tuple[Kernel[..., Any], Callable[[np.random.Generator], Arguments]]] = {
    "in_order": (_sets.in_order, lambda rng: (rng.integers(0, 9, 40),)),
    "primitive": (_kernels.primitive, of_primitive),
    "orbits_of": (_kernels.orbits_of, lambda rng: (*motif(rng), 0.01)),
    "expand": (
        _expand,
        lambda rng: (cell(rng), rng.random((5, 3)), *operations(rng), np.full(5, 0.4), 1000),
    ),
    "distinct": (group.distinct, lambda rng: (*operations(rng), 1e-3)),
    "is_group": (group.is_group, lambda rng: (*operations(rng), 1e-3)),
    "metric_misfit": (group.metric_misfit, lambda rng: (cell(rng), operations(rng)[0])),
    "directions": (directions._fill, of_fill),
    "both ways": (connect._both_ways, of_both_ways),
    "behind": (connect._behind, of_behind),
    "held together": (connect._held_together, lambda rng: of_behind(rng)[:-1]),
    "walk": (molecules._walk, of_walk),
    "rings": (rings._rings, of_rings),
}


@pytest.mark.parametrize("name", KERNELS)
def test_python_and_machine_code_give_the_same_bits(name: str) -> None:
    kernel, arguments = KERNELS[name]
    for seed in range(8):
        ran = []
        for function in (kernel.function, kernel.dispatcher):
            given = arguments(np.random.default_rng(seed))
            answer = function(*given)
            ran.append([*(answer if isinstance(answer, tuple) else (answer,)), *given])
        for one, other in zip(*ran, strict=True):
            first, second = np.asarray(one), np.asarray(other)
            assert first.shape == second.shape
            assert first.tobytes() == second.astype(first.dtype).tobytes()
