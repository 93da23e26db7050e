"""Random packings of the molecules of a crystal, as decoys."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.molecules import Molecules
from atomsight.geometry.neighbours import nearest_neighbours
from atomsight.rank.molecules.contacts import RADII
from workshop.decoys import in_p1, random_cell

Array = NDArray[np.float64]

GROUPS = ("P 1", "P -1", "P 1 21 1", "P 1 21/c 1", "P 21 21 21", "P n a 21", "C 1 2/c 1", "P b c a")
"""Space groups of about 90 % of the molecular crystals."""

SWOLLEN = 1.25
"""Initial volume of a packing over its final volume."""

STEPS = 100
"""Steps of the compression."""

ALLOWED = 0.9
"""Distance below which molecules repel each other, over the sum of van der Waals radii."""

_POLAR = np.isin(np.arange(128), (7, 8))


@dataclass(frozen=True)
class _Body:
    """A rigid molecule: positions relative to its centre, Å, and elements."""

    positions: Array
    numbers: NDArray[np.uint8]


def bodies_of(crystal: Crystal, molecules: Molecules) -> list[_Body]:
    """Return the complete molecules of the cell, relative to their centres."""
    whole = (crystal.fractional + molecules.shift) @ crystal.lattice
    bodies = []
    for label in range(len(molecules.endless)):
        atoms = np.flatnonzero(molecules.molecule == label)
        bodies.append(_Body(whole[atoms] - whole[atoms].mean(axis=0), crystal.numbers[atoms]))
    return bodies


def repacked(
    crystal: Crystal, molecules: Molecules, generator: np.random.Generator, volume: float | None = None
) -> Crystal | None:
    """Pack the molecules of a cell randomly at the same volume, as rigid bodies.

    They start in a random cell with a larger volume, at random positions and in random orientations, in a
    random group of `GROUPS` whose order divides the number of each molecule. The cell is then compressed,
    while overlaps push the molecules apart.

    Args:
        crystal: a molecular crystal; its own space group is not kept.
        molecules: its molecules.
        generator: random numbers.
        volume: Å³; None keeps the crystal's.

    Returns:
        The packing in P1, or None if molecules overlap badly at the end.
    """
    groups: dict[tuple[int, ...], list[_Body]] = {}
    for body in bodies_of(crystal, molecules):
        groups.setdefault(tuple(np.sort(body.numbers).tolist()), []).append(body)
    choices = []
    for name in GROUPS:
        operations = gemmi.SpaceGroup(name).operations()
        if all(len(equal) % len(operations) == 0 for equal in groups.values()):
            choices.append((name, operations))
    name, operations = choices[generator.integers(len(choices))]
    order = len(operations)
    unit = [body for equal in groups.values() for body in equal[: len(equal) // order]]
    turns = np.array([np.array(op.rot) / op.DEN for op in operations])
    moves = np.array([np.array(op.tran) / op.DEN for op in operations])
    wanted = crystal.volume if volume is None else volume
    cell = _cell(name, generator, wanted)
    swarm = _Swarm(unit, turns, moves, generator)
    for step in range(STEPS):
        factor = 1 + (SWOLLEN - 1) * max(0.0, 1 - step / (0.6 * STEPS))
        worst = swarm.push(cell * factor ** (1 / 3))
        if step > 0.6 * STEPS and worst < 0.02:
            break
    points, numbers = swarm.cell(cell)
    distances = nearest_neighbours(cell, points, 1)[0]
    if distances.min() < 0.6:
        return None
    return in_p1(crystal, lattice=cell, fractional=points, numbers=numbers)


def _cell(name: str, generator: np.random.Generator, volume: float) -> Array:
    cell = random_cell(generator, volume)
    if name in ("P 1", "P -1"):
        return cell
    lengths = np.linalg.norm(cell, axis=1)
    upright = np.diag(lengths)
    if "1 2" in name:  # monoclinic: beta is free
        beta = np.radians(generator.uniform(90, 115))
        upright[2] = lengths[2] * np.array([np.cos(beta), 0, np.sin(beta)])
    scaled: Array = upright * (volume / abs(np.linalg.det(upright))) ** (1 / 3)
    return scaled


class _Swarm:
    """The molecules of the asymmetric unit as rigid bodies."""

    def __init__(self, unit: list[_Body], turns: Array, moves: Array, generator: np.random.Generator) -> None:
        self.turns, self.moves = turns, moves
        self.body = np.repeat(np.arange(len(unit)), [len(body.numbers) for body in unit])
        self.numbers = np.concatenate([body.numbers for body in unit])
        self.centres = generator.random((len(unit), 3))
        self.arms = np.concatenate([body.positions @ _random_turn(generator) for body in unit])
        self.radii = ALLOWED * RADII[self.numbers]
        self.polar = _POLAR[self.numbers]

    def cell(self, lattice: Array) -> tuple[Array, NDArray[np.uint8]]:
        """Return fractional positions and elements of all atoms, one operation after another."""
        unit = self.centres[self.body] + self.arms @ np.linalg.inv(lattice)
        points = np.concatenate(
            [unit @ turn.T + move for turn, move in zip(self.turns, self.moves, strict=True)]
        )
        return points, np.tile(self.numbers, len(self.turns))

    def push(self, lattice: Array) -> float:
        """Move every molecule away from its overlaps; returns the largest overlap, Å."""
        inverse = np.linalg.inv(lattice)
        points, _ = self.cell(lattice)
        n = len(self.numbers)
        k = 40
        distances, other, images = nearest_neighbours(lattice, points, k, np.arange(n))
        copies = len(self.turns)
        radii, polar = np.tile(self.radii, copies), np.tile(self.polar, copies)
        mine = (other < n) & (self.body[np.minimum(other, n - 1)] == self.body[:, None])
        mine &= (images == 0).all(axis=2)
        wanted = self.radii[:, None] + radii[other]
        hydrogen = (self.numbers == 1)[:, None] & polar[other]
        hydrogen |= self.polar[:, None] & np.tile(self.numbers == 1, copies)[other]
        wanted = np.where(hydrogen, 0.68 * wanted, wanted)
        short = np.where(mine, 0.0, np.clip(wanted - distances, 0, None))
        apart = (points[:n, None] - points[other] - images) @ lattice
        push = (short / np.maximum(distances, 0.2))[..., None] * apart
        force = push.sum(axis=1)
        for index in range(len(self.centres)):
            rows = np.flatnonzero(self.body == index)
            pushed = max(1.0, float((short[rows].max(axis=1) > 0).sum()))
            self.centres[index] += 0.5 * force[rows].sum(axis=0) @ inverse / pushed**0.7
            torque = np.cross(self.arms[rows], force[rows]).sum(axis=0)
            inertia = (self.arms[rows] ** 2).sum() + 1.0
            self.arms[rows] = self.arms[rows] @ _turn(torque * 0.8 / inertia * (len(rows) / pushed) ** 0.5).T
        return float(short.max())


def _random_turn(generator: np.random.Generator) -> Array:
    turn, triangle = np.linalg.qr(generator.normal(size=(3, 3)))
    turn = turn * np.sign(np.diag(triangle))
    # The mirror image is another molecule unless the crystal is a racemate.
    return turn if np.linalg.det(turn) > 0 else -turn


def _turn(vector: Array) -> Array:
    """Return the rotation about a vector by its length (radians, at most 0.3)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3)
    x, y, z = vector / angle
    angle = min(angle, 0.3)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew)
