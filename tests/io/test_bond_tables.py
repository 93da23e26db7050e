from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from atomsight.core.crystal import BOND_TYPES, Crystal
from atomsight.io.bond_tables import BondTable
from atomsight.io.cif import crystals_of
from atomsight.io.member import Member

HEAD = """data_made
_cell_length_a 10
_cell_length_b 11
_cell_length_c 12
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
{extra}
loop_
_symmetry_equiv_pos_as_xyz
{operations}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{atoms}
"""
TAGS = (
    *("_geom_bond_atom_site_label_1", "_geom_bond_atom_site_label_2", "_geom_bond_distance"),
    *("_geom_bond_site_symmetry_1", "_geom_bond_site_symmetry_2", "_ccdc_geom_bond_type"),
)


def read(operations: str, atoms: str, rows: str, extra: str = "", leave_out: tuple[str, ...] = ()) -> Crystal:
    """The crystal of a CIF with a bond table of six columns, less those left out."""
    places = [i for i, tag in enumerate(TAGS) if tag not in leave_out]
    table = "\n".join(" ".join(row.split()[i] for i in places) for row in rows.strip().splitlines())
    tags = "\n".join(TAGS[i] for i in places)
    text = HEAD.format(operations=operations, atoms=atoms, extra=extra) + f"loop_\n{tags}\n{table}\n"
    problems: list[str] = []
    crystals = crystals_of(Member("made", "made.cif", text.encode()), on_skip=lambda s, r: problems.append(r))
    assert not problems
    return crystals[0]


def listed(crystal: Crystal) -> list[tuple[str, str, float, str]]:
    assert crystal.bonds is not None
    bonds = crystal.bonds
    there = (
        crystal.fractional[bonds.atoms]
        + bonds.images
        - crystal.fractional[crystal.representatives[bonds.sites]]
    ) @ crystal.lattice
    np.testing.assert_allclose(np.linalg.norm(there, axis=1), bonds.lengths, atol=1e-9)
    return sorted(
        (
            crystal.labels[site],
            crystal.labels[crystal.orbits[atom]],
            round(float(length), 3),
            BOND_TYPES[kind],
        )
        for site, atom, length, kind in zip(bonds.sites, bonds.atoms, bonds.lengths, bonds.types, strict=True)
    )


# Two carbons related by an inversion centre at the corner of the cell, each with a hydrogen: acetylene.
INVERSION = "'x,y,z'\n'-x,-y,-z'"
ACETYLENE = "C1 C 0.06 0 0\nH1 H 0.166 0 0"


def test_a_symmetry_code_leads_to_the_other_atom() -> None:
    crystal = read(INVERSION, ACETYLENE, "C1 C1 1.2000(12) . 2 T\nC1 H1 1.06 . . S")
    assert listed(crystal) == [
        ("C1", "C1", 1.2, "triple"),
        ("C1", "H1", 1.06, "single"),
        ("H1", "C1", 1.06, "single"),
    ]
    assert "bond_table_misfit" not in crystal.flags


def test_a_code_moves_by_cells() -> None:
    crystal = read("'x,y,z'", "O1 O 0.05 0 0\nZn1 Zn 0.85 0 0", "O1 Zn1 2.0 1_555 1_455 S")
    assert listed(crystal) == [("O1", "Zn1", 2.0, "single"), ("Zn1", "O1", 2.0, "single")]
    assert crystal.bonds is not None
    assert crystal.bonds.images.tolist() in ([[-1, 0, 0], [1, 0, 0]], [[1, 0, 0], [-1, 0, 0]])


def test_both_codes_may_move() -> None:
    crystal = read("'x,y,z'", "O1 O 0.05 0 0\nZn1 Zn 0.85 0 0", "O1 Zn1 2.0 1_655 . S")
    assert len(listed(crystal)) == 2


def test_without_codes_the_length_finds_the_atom() -> None:
    crystal = read(
        INVERSION,
        ACETYLENE,
        "C1 C1 1.20 . . T\nC1 H1 1.06 . . S",
        leave_out=("_geom_bond_site_symmetry_1", "_geom_bond_site_symmetry_2"),
    )
    assert [row[:3] for row in listed(crystal)] == [
        ("C1", "C1", 1.2),
        ("C1", "H1", 1.06),
        ("H1", "C1", 1.06),
    ]


def test_without_lengths_the_codes_find_the_atom() -> None:
    crystal = read(INVERSION, ACETYLENE, "C1 C1 1.20 . 2_555 T", leave_out=("_geom_bond_distance",))
    assert listed(crystal) == [("C1", "C1", 1.2, "triple")]


def test_a_row_that_fits_no_atoms_is_dropped_and_flagged() -> None:
    crystal = read(INVERSION, ACETYLENE, "C1 C1 1.35 . 2 D\nC1 H1 1.06 . . S")
    assert [row[0] + row[1] for row in listed(crystal)] == ["C1H1", "H1C1"]
    assert "bond_table_misfit" in crystal.flags


def test_rows_of_atoms_that_are_not_there_are_passed_over() -> None:
    crystal = read(INVERSION, ACETYLENE, "C1 C9 1.35 . . D\nC1 H1 1.06 . . S")
    assert len(listed(crystal)) == 2
    assert "bond_table_misfit" not in crystal.flags


def test_a_table_of_nonsense_costs_no_crystal() -> None:
    crystal = read(INVERSION, ACETYLENE, "C1 C1 ? . 99_5 T\nC1 H1 abc x ? ?")
    assert crystal.n_sites == 2
    assert "bond_table_misfit" in crystal.flags


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        *(("S", "single"), ("D", "double"), ("T", "triple"), ("Q", "quadruple"), ("A", "aromatic")),
        *(
            ("arom", "aromatic"),
            ("delocalised", "delocalised"),
            ("pi", "pi"),
            ("?", "unknown"),
            ("zz", "unknown"),
        ),
    ],
)
def test_words_for_types(word: str, kind: str) -> None:
    assert {row[3] for row in listed(read(INVERSION, ACETYLENE, f"C1 C1 1.2 . 2 {word}"))} == {kind}


def test_copies_drawn_single_and_double_are_delocalised() -> None:
    # A square of carbons given in P 1: symmetry makes one site of the four, which the drawing contradicts.
    square = "C1 C 0.5 0.5 0.5\nC2 C 0.64 0.5 0.5\nC3 C 0.64 0.627273 0.5\nC4 C 0.5 0.627273 0.5"
    rows = "C1 C2 1.4 . . D\nC2 C3 1.4 . . S\nC3 C4 1.4 . . D\nC4 C1 1.4 . . S"
    crystal = read("'x,y,z'", square, rows)
    assert crystal.n_sites == 1
    assert listed(crystal) == [("C1", "C1", 1.4, "delocalised")] * 2


def test_types_across_the_cell_in_materials_studio_are_not_trusted() -> None:
    atoms, rows = "O1 O 0.05 0 0\nZn1 Zn 0.85 0 0\nH1 H 0.05 0.09 0", "O1 Zn1 2.0 . 1_455 A\nO1 H1 0.99 . . S"
    studio = read("'x,y,z'", atoms, rows, "_audit_creation_method 'Materials Studio'")
    assert {row[3] for row in listed(studio) if "Zn1" in row} == {"unknown"}
    assert {row[3] for row in listed(studio) if "H1" in row} == {"single"}
    assert {row[3] for row in listed(read("'x,y,z'", atoms, rows)) if "Zn1" in row} == {"aromatic"}


def test_the_table_is_read_when_bonds_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    was = BondTable.read
    monkeypatch.setattr(BondTable, "read", lambda self, crystal: (calls.append("x"), was(self, crystal))[1])
    crystal = read(INVERSION, ACETYLENE, "C1 C1 1.3 . 2 T\nC1 H1 1.06 . . S")
    assert crystal.formula == "CH"
    assert not calls
    travelled = pickle.loads(pickle.dumps(crystal))
    assert not calls
    assert "bond_table_misfit" in crystal.flags  # flags are complete, and found once
    assert crystal.bonds is not None
    assert calls == ["x"]
    assert travelled.bonds is not None
    for name in ("sites", "atoms", "images", "lengths", "types"):
        np.testing.assert_array_equal(getattr(travelled.bonds, name), getattr(crystal.bonds, name))
    assert travelled.flags == crystal.flags


def test_a_crystal_without_its_table() -> None:
    crystal = read(INVERSION, ACETYLENE, "C1 C1 1.2 . 2 T\nC1 H1 1.06 . . S")
    assert replace(crystal, bonds=None).bonds is None
    assert crystal.bonds is not None
