"""SHELX's .res gives the crystal that the CIF of the same structure gives."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atomsight
from atomsight.core.crystal import Crystal
from atomsight.io import DEFAULT, Member, crystals_of
from atomsight.io.policy import SkipError
from atomsight.io.shelx import parse

ROOT = Path(__file__).parents[2]
CIFS = [
    *sorted((ROOT / "examples").glob("*.cif")),
    ROOT / "tests/data/halite.cif",
    ROOT / "tests/data/cod-2100840.cif",
]


def as_res(path: Path) -> str:
    """A CIF as a refinement would leave it: LATT and SYMM, coordinates fixed, occupancies of the site."""
    structure = gemmi.make_small_structure_from_block(gemmi.cif.read(str(path))[0])
    cell = structure.cell
    group = gemmi.find_spacegroup_by_name(structure.spacegroup_hm, cell.alpha, cell.gamma)
    ops = group.operations()
    letter = {"P": 1, "I": 2, "R": 3, "F": 4, "A": 5, "B": 6, "C": 7}[ops.find_centering()]
    symmetry = list(ops.sym_ops)
    inverted = gemmi.Op("-x,-y,-z") in symmetry
    listed: list[gemmi.Op] = []
    for op in symmetry:
        opposite = (gemmi.Op("-x,-y,-z") * op).wrap()
        if op != gemmi.Op("x,y,z") and not (
            inverted and (opposite in listed or opposite == gemmi.Op("x,y,z"))
        ):
            listed.append(op)
    elements = list(dict.fromkeys(site.element.name for site in structure.sites))
    lines = [
        f"TITL {path.stem}",
        f"CELL 0.71073 {cell.a} {cell.b} {cell.c} {cell.alpha} {cell.beta} {cell.gamma}",
    ]
    lines += ["ZERR 4 0.001 0.001 0.001 0 0 0", f"LATT {letter if inverted else -letter}"]
    lines += [f"SYMM {op.triplet().upper()}" for op in listed]
    lines += ["SFAC " + " ".join(elements), "UNIT " + " ".join("4" for _ in elements), "L.S. 10", "FVAR 0.5"]
    every = list(ops)
    for site in structure.sites:
        copies = 0
        for op in every:
            moved = np.array(op.apply_to_xyz(site.fract.tolist())) - site.fract.tolist()
            moved -= np.round(moved)
            copies += cell.orthogonalize(gemmi.Fractional(*moved)).length() < 0.1
        x, y, z = site.fract.tolist()
        kind = elements.index(site.element.name) + 1
        lines += [
            f"{site.label[:4]} {kind} {10 + x:.6f} {y:.6f} {z:.6f} {10 + 1 / copies:.5f} 0.05 =",
            "   0.05 0.04",
        ]
    return "\n".join([*lines, "HKLF 4", "END", "Q1 1 0.1 0.2 0.3 11.0 0.05"])


def of(text: str) -> tuple[list[Crystal], list[str]]:
    rules: list[str] = []
    member = Member("x", "x.res", text.encode("latin-1"), "shelx")
    return crystals_of(member, DEFAULT, lambda s, r: rules.append(r.rule)), rules  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", CIFS, ids=lambda p: p.stem)
def test_the_same_crystal_as_from_the_cif(path: Path) -> None:
    known = next(atomsight.read(path))
    (crystal,), rules = of(as_res(path))
    assert rules == []
    assert crystal.counts == known.counts
    assert sorted(crystal.multiplicities) == sorted(known.multiplicities)
    mine, theirs = (atomsight.nearest_neighbours(c.lattice, c.fractional, 8)[0] for c in (crystal, known))
    np.testing.assert_allclose(np.sort(mine, 0), np.sort(theirs, 0), atol=2e-3)


HEAD = "TITL x\nCELL 0.7 8 8 8 90 90 90\nLATT -1\nSFAC C H O Na\nUNIT 1 1 1 1\nFVAR 1 0.7 0.25\n"


def table_of(atoms: str) -> tuple[list[str], list[float], list[str] | None, np.ndarray]:
    table = parse((HEAD + atoms + "\nEND\n").encode()).table
    return list(table.labels), table.occupancy.round(6).tolist(), table.groups, table.fractional


def test_coded_numbers_free_variables_parts_residues_and_moves() -> None:
    labels, occupancy, groups, xyz = table_of(
        "C1 1 0.1 10.2 -10.3 11.0 0.05 ! a comment\n"
        "C2 1 31.0 0.2 0.3 11.0\n"
        "PART 1\nO1 3 0.4 0.2 0.3 21.0\nPART 2\nO1A 3 0.5 0.2 0.3 -21.0\nPART 0\n"
        "RESI 3 WAT\nO1 3 0.7 0.2 0.3\nRESI 0\n"
        "MOVE 1 1 1 -1\nC3 1 0.1 0.2 0.3 11"
    )
    assert labels == ["C1", "C2", "O1", "O1A", "O1_3", "C3"]
    assert occupancy == [1, 1, 0.7, 0.3, 1, 1]
    assert groups == ["", "", "1", "2", "", ""]
    np.testing.assert_allclose(xyz[0], [0.1, 0.2, -0.3])
    np.testing.assert_allclose(xyz[1], [0.25, 0.2, 0.3])
    np.testing.assert_allclose(xyz[5], [0.9, 0.8, 0.7])


def test_the_major_part_of_disorder_is_kept() -> None:
    (crystal,), _ = of(HEAD + "C1 1 .1 .1 .1 11\nPART 1\nO1 3 .3 .1 .1 21\nPART 2\nO2 3 .1 .3 .1 -21\nEND")
    assert crystal.labels == ("C1", "O1")
    assert "disorder_resolved" in crystal.flags


def test_airss_writes_plain_numbers_and_the_element_as_the_label() -> None:
    text = "TITL Na-1 0.0 50.1 -1.0 0 0 2 (P1) n - 1\nCELL 1.54180 4 4 4 90 90 90\nLATT -1\nSFAC Na\n"
    (crystal,), _ = of(text + "Na 1 0.0000 0.0000 0.0000 1.0\nNa 1 0.5 0.5 0.5 1.0\nEND\n")
    assert crystal.formula == "Na"
    assert crystal.multiplicities.tolist() == [2]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("TITL x\nSFAC C\nC1 1 0 0 0\n", "no_cell"),
        ("CELL 0.7 8 8 8 90 90 190\nSFAC C\nC1 1 0 0 0\n", "bad_cell"),
        ("CELL 0.7 a b c\n", "syntax"),
        (HEAD + "END", "no_sites"),
        (HEAD + "C1 9 0 0 0 11", "unknown_element"),
        (HEAD + "C1 1 0 x 0 11", "syntax"),
        (HEAD + "C1 1 51 0 0 11", "syntax"),
        (HEAD.replace("LATT -1", "LATT 9") + "C1 1 0 0 0", "bad_symmetry"),
        (HEAD.replace("LATT -1", "LATT -1\nSYMM what") + "C1 1 0 0 0", "bad_symmetry"),
        (HEAD.replace("LATT -1", "LATT -1\nSYMM Y,Z,X") + "C1 1 0 0 0", "bad_symmetry"),
        (HEAD + "C1 1 0.1 0.1 0.1 10.5", "partial_occupancy"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, rule: str) -> None:
    assert of(text) == ([], [rule])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([*HEAD.splitlines(), "C1 1 .1 .2 .3 11", "PART 1 21", "RESI", "MOVE", "="]),
        max_size=12,
    )
)
def test_lines_in_any_order_never_crash(lines: list[str]) -> None:
    with suppress(SkipError):
        parse("\n".join(lines).encode())
