"""The pair potential between molecules: against a plain sum, and where it must not change."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import atomsight
from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.molecules import molecules_of
from atomsight.rank.molecules import dispersion
from atomsight.rank.molecules.contacts import RADII, atom_types, contacts_of
from atomsight.rank.molecules.dispersion import BOND, DISPERSION, HARDEST, REACH, WIDER

IBUPROFEN = Path(atomsight.__file__).parent / "web" / "examples" / "ibuprofen.cif"


@pytest.fixture(scope="module")
def ibuprofen() -> Crystal:
    return next(iter(atomsight.read(IBUPROFEN)))


def cohesion(crystal: Crystal) -> float:
    contacts = contacts_of(crystal, molecules_of(crystal), dispersion.REACH)
    return dispersion.cohesion(contacts)


def plain_sum(crystal: Crystal) -> float:
    """The same from every pair of atoms within reach, one after another."""
    molecules = molecules_of(crystal)
    types = atom_types(molecules)
    whole = (crystal.fractional + molecules.shift) @ crystal.lattice
    cells = np.array(list(product(range(-3, 4), repeat=3)))
    energy = 0.0
    for one in range(crystal.n_atoms):
        for other in range(crystal.n_atoms):
            ways = whole[other] + cells @ crystal.lattice - whole[one]
            lengths = np.sqrt((ways**2).sum(axis=1))
            if molecules.molecule[one] == molecules.molecule[other]:
                lengths = lengths[(cells != 0).any(axis=1)]
            lengths = lengths[lengths < REACH]
            attraction = 1000 * np.sqrt(DISPERSION[crystal.numbers[one]] * DISPERSION[crystal.numbers[other]])
            if {types[one], types[other]} in ({1, 5}, {1, 6}, {1, 7}, {1, 8}):
                energy -= (attraction / np.maximum(lengths, BOND) ** 6).sum()
            else:
                wanted = WIDER * (RADII[crystal.numbers[one]] + RADII[crystal.numbers[other]])
                sixth = (wanted / np.maximum(lengths, HARDEST * wanted)) ** 6
                energy += (attraction / wanted**6 * (0.5 * sixth**2 - sixth)).sum()
    root = np.sqrt(1000 * DISPERSION[crystal.numbers])
    tail = 2 * np.pi / 3 * root.sum() ** 2 / crystal.volume / REACH**3
    return float((tail - energy / 2) / crystal.n_atoms)


def test_against_a_plain_sum(ibuprofen: Crystal) -> None:
    found = cohesion(ibuprofen)
    assert found == pytest.approx(plain_sum(ibuprofen), rel=1e-9)
    assert 2 < found < 6, "a crystal of such molecules gains some kJ/mol for each atom"


def test_neither_origin_nor_turn_nor_order_changes_it(ibuprofen: Crystal) -> None:
    expected = cohesion(ibuprofen)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    moved = replace(
        ibuprofen,
        lattice=ibuprofen.lattice @ turn,
        fractional=(ibuprofen.fractional + np.array([0.3, 0.2, 0.7])) % 1,
    )
    assert cohesion(moved) == pytest.approx(expected, rel=1e-9)


def test_what_lies_beyond_reach_is_estimated(ibuprofen: Crystal, monkeypatch: pytest.MonkeyPatch) -> None:
    near = cohesion(ibuprofen)
    monkeypatch.setattr(dispersion, "REACH", 14.0)
    assert cohesion(ibuprofen) == pytest.approx(near, rel=0.01)
