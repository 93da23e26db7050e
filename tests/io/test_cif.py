"""CIFs as they are met: real ones, and every fault that the policy names."""

from __future__ import annotations

import pickle
from pathlib import Path

import gemmi
import numpy as np
import pytest

from atomsight.core.crystal import Crystal
from atomsight.io import QualityPolicy, Reason, crystals_of, read
from atomsight.io._atoms import read_atoms
from atomsight.io._syntax import quote_values
from atomsight.io.member import Member

DATA = Path(__file__).parents[1] / "data"


def cif(
    atoms: str, cell: str = "5 6 7 90 100 90", extra: str = "", columns: str = "", block: str = "x"
) -> str:
    names = ["length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"]
    head = "\n".join(f"_cell_{name} {value}" for name, value in zip(names, cell.split(), strict=True))
    tags = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", *columns.split()]
    loop = "loop_\n" + "\n".join(f"_atom_site_{tag}" for tag in tags)
    return f"data_{block}\n{head}\n{extra}\n{loop}\n{atoms}\n"


def one(text: str | bytes, **options: float) -> Crystal:
    skips: list[str] = []
    data = text if isinstance(text, bytes) else text.encode()
    found = crystals_of(Member("f", "f.cif", data), QualityPolicy(**options), lambda s, r: skips.append(r))  # type: ignore[arg-type]
    assert not skips, skips
    assert len(found) == 1
    return found[0]


def skip(text: str | bytes, **options: float) -> Reason:
    skips: list[tuple[str, Reason]] = []
    data = text if isinstance(text, bytes) else text.encode()
    policy = QualityPolicy(**options)  # type: ignore[arg-type]
    assert crystals_of(Member("f", "f.cif", data), policy, lambda s, r: skips.append((s, r))) == []  # type: ignore[arg-type]
    assert len(skips) == 1
    assert skips[0][0].startswith("f.cif")
    return skips[0][1]


TWO = "C1 C 0.1 0.2 0.3\nO1 O 0.4 0.6 0.8"


def test_real_files() -> None:
    rules: dict[str, str] = {}
    found = {c.name: c for c in read(DATA, on_skip=lambda s, r: rules.update({Path(s).name: r.rule}))}
    assert rules == {
        "ice-vii.cif": "partial_occupancy",
        "tulameenite.cif": "mixed_occupancy",
        "w2c.cif": "bad_symmetry",
    }
    assert set(found) == {"PIYZAZ_freeONLY", "2100840", "9008678"}
    salt = found["9008678"]
    assert (salt.formula, salt.n_atoms, salt.labels, salt.space_group) == (
        "ClNa",
        8,
        ("Na", "Cl"),
        "F m -3 m",
    )
    acetylene = found["2100840"]
    assert acetylene.multiplicities.tolist() == [8, 8]
    assert {"symmetry_from_name", "has_hydrogen"} <= acetylene.flags
    network = found["PIYZAZ_freeONLY"]
    assert {"from_p1", "repaired"} <= network.flags
    assert network.multiplicities.tolist() == [2, 8]
    for crystal in found.values():
        assert ((crystal.fractional >= 0) & (crystal.fractional < 1)).all()
        assert crystal.orbits.dtype == np.int32
        assert crystal.numbers.dtype == np.uint8


@pytest.mark.parametrize(
    "encode",
    [
        lambda t: t.encode("latin-1"),
        lambda t: t.encode("utf-8"),
        lambda t: b"\xef\xbb\xbf" + t.encode("utf-8"),
        lambda t: t.encode("utf-16"),
        lambda t: t.replace("\n", "\r\n").encode("latin-1"),
    ],
)
def test_encodings(encode: object) -> None:
    text = cif(TWO, extra="# Å\n_publ_author_name 'Ångström, É.'")
    assert one(encode(text)).formula == "CO"  # type: ignore[operator]


def test_faults_of_whole_files() -> None:
    assert skip(b"").rule == "no_sites"
    assert "empty" in skip(b"  \n")
    assert skip(b"PNG\0\0\0").rule == "not_text"
    assert skip("no cif at all").rule == "syntax"
    assert skip("data_a\n_x 1\n").rule == "no_sites"
    assert skip(cif(TWO) + "loop_\n_a\n_b\n1\n").rule == "syntax"


def test_unquoted_values_are_quoted() -> None:
    line = "_symmetry_space_group_name_H-M    P 1"
    crystal = one(cif(TWO, extra=line))
    assert "repaired" in crystal.flags
    assert quote_values(f";\n{line}\n;\n") == f";\n{line}\n;\n"
    assert quote_values("_a 1 _b 2\n") == "_a 1 _b 2\n"
    assert quote_values("_a it's so\n") == '_a "it\'s so"\n'
    assert quote_values("_a  P 1\r\n") == "_a  'P 1'\r\n"


def test_several_blocks_are_several_crystals() -> None:
    text = "data_global\n_publ_author_name x\n" + cif(TWO, block="one") + cif(TWO, block="two")
    skips: list[str] = []
    found = crystals_of(Member("f", "p/f.cif", text.encode()), on_skip=lambda s, r: skips.append(s))
    assert [c.name for c in found] == ["f/one", "f/two"]
    assert [c.source for c in found] == ["p/f.cif#one", "p/f.cif#two"]
    assert skips == []
    broken = text + cif("C1 C ? ? ?", block="three")
    found = crystals_of(Member("f", "p/f.cif", broken.encode()), on_skip=lambda s, r: skips.append(s))
    assert len(found) == 2
    assert skips == ["p/f.cif#three"]


def test_names_come_from_cod_or_the_file() -> None:
    assert one(cif(TWO)).name == "f"
    assert one(cif(TWO, extra="_cod_database_code 1234567")).name == "1234567"
    assert one(cif(TWO, extra="_cod_database_code hello")).name == "f"


def test_cells() -> None:
    assert skip(cif(TWO).replace("_cell_length_b 6\n", "")).rule == "no_cell"
    assert skip(cif(TWO, cell="5 6 7 ? 90 90")).rule == "no_cell"
    assert skip(cif(TWO, cell="5 6 0 90 90 90")).rule == "bad_cell"
    assert skip(cif(TWO, cell="5 6 7 150 150 150")).rule == "bad_cell"
    assert skip(cif(TWO, cell="1 60 70 90 90 90")).rule == "bad_cell"
    assert skip(cif(TWO, cell="1.6 1.6 1 90 90 90"), min_translation=0.5).rule == "density"
    assert skip(cif(TWO, cell="50 60 70 90 90 90")).rule == "density"
    crystal = one(cif(TWO, cell="5.0(1) 6 7 80 100.5(2) 70"))
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    np.testing.assert_allclose(lengths, [5, 6, 7])
    assert crystal.lattice[1] @ crystal.lattice[2] / 42 == pytest.approx(np.cos(np.radians(80)))
    assert crystal.lattice[0] @ crystal.lattice[2] / 35 == pytest.approx(np.cos(np.radians(100.5)))


def test_coordinates() -> None:
    crystal = one(cif("C1 C -0.1(2) 1.25 .5\nO1 O +0.4 0.6 8e-1"))
    np.testing.assert_allclose(crystal.fractional, [[0.9, 0.25, 0.5], [0.4, 0.6, 0.8]])
    assert skip(cif(TWO + "\nC2 C ? ? ?")).rule == "missing_coordinates"
    assert "missing_hydrogen" in one(cif(TWO + "\nH2 H . . .")).flags
    dummies = one(cif("C1 C 0.1 0.2 0.3 d\nX X 0 0 0 dum", columns="calc_flag"))
    assert dummies.labels == ("C1",)
    assert skip("data_a\n_cell_length_a 4\nloop_\n_atom_site_label\nC1\n").rule in (
        "no_cell",
        "missing_coordinates",
    )


@pytest.mark.parametrize(
    ("symbol", "element"),
    [("Te6+", 52), ("O2-", 8), ("ZN", 30), ("cl", 17), ("Cval", 6), ("Ow", 8), ("'C'", 6), ("D", 1)],
)
def test_type_symbols(symbol: str, element: int) -> None:
    crystal = one(cif(f"A {symbol} 0.1 0.2 0.3"))
    assert crystal.numbers.tolist() == [element]
    assert ("deuterium" in crystal.flags) == (symbol == "D")


@pytest.mark.parametrize(
    ("label", "formula", "element"),
    [
        ("C12", None, 6), ("Zn1A", None, 30), ("CL3", None, 17), ("Ca1", None, 20), ("Wat1", None, 8),
        ("D1", None, 1), ("CA1", "C6 H6", 6), ("CA1", "Ca O", 20), ("HO1", "C H O", 1), ("Oax", "H O", 8),
        ("CA1", None, None), ("Q1", None, None), ("12", None, None),
    ],
)  # fmt: skip
def test_labels_without_type_symbols(label: str, formula: str | None, element: int | None) -> None:
    extra = f"_chemical_formula_sum '{formula}'" if formula else ""
    text = cif(f"{label} ? 0.1 0.2 0.3", extra=extra)
    if element is None:
        assert skip(text).rule == "unknown_element"
    else:
        assert one(text).numbers.tolist() == [element]


def test_unknown_elements_are_named() -> None:
    reason = skip(cif("M1 M 0.1 0.2 0.3"))
    assert reason.rule == "unknown_element"
    assert "M1" in reason


def test_symmetry_from_the_list_and_from_names() -> None:
    ops = "loop_\n_symmetry_equiv_pos_as_xyz\n{}\n"
    listed = one(cif(TWO, extra=ops.format("x,y,z\n-x,y+1/2,-z+1/2\n-x,-y,-z\n'x, -y+1/2, z+1/2'")))
    assert listed.multiplicities.tolist() == [4, 4]
    assert "from_p1" not in listed.flags
    named = one(cif(TWO, extra="_symmetry_space_group_name_H-M 'P 21/c'"))
    assert named.multiplicities.tolist() == [4, 4]
    assert {"symmetry_from_name"} <= named.flags
    assert one(cif(TWO, extra="_space_group_name_Hall '-P 2ybc'")).n_atoms == 8
    assert one(cif(TWO, extra="_space_group_IT_number 14")).n_atoms == 8
    odd = one(cif(TWO, extra=ops.format("x,y,z\n'-x,-y,-z+415/474'")))
    assert odd.n_atoms == 4
    assert skip(cif(TWO, extra="_symmetry_space_group_name_H-M 'Q 17'")).rule == "bad_symmetry"
    assert skip(cif(TWO, extra=ops.format("x,y,z\n-x,y+1/3,z"))).rule == "bad_symmetry"
    assert skip(cif(TWO, extra=ops.format("x,y,z\nx,y"))).rule == "bad_symmetry"
    assert skip(cif(TWO, extra=ops.format("x,y,z\n2x,y,z"))).rule == "bad_symmetry"
    assert skip(cif(TWO, extra=ops.format("x,y,z\ny,x,z"))).rule == "bad_symmetry"  # a is not b here


def test_an_atom_on_a_special_position_is_one_site() -> None:
    inversion = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,-z\n"
    crystal = one(cif("Zn1 Zn 0.001 0.5 0\nC1 C 0.2 0.2 0.3", extra=inversion))
    assert crystal.multiplicities.tolist() == [1, 2]
    np.testing.assert_allclose(crystal.fractional[0], [0, 0.5, 0], atol=1e-12)


def test_duplicate_rows_are_merged_and_close_contacts_are_not() -> None:
    merged = one(cif(TWO + "\nC2 C 0.1 0.2 0.301\nC3 C 1.1 0.2 0.3"))
    assert merged.labels == ("C1", "O1")
    assert "duplicates_merged" in merged.flags
    many = one(cif("\n".join(f"C{i} C 0.1 0.2 0.3" for i in range(60))))
    assert many.n_atoms == 1
    reason = skip(cif(TWO + "\nN1 N 0.1 0.2 0.301"))
    assert reason.rule == "close_contact"
    assert "C1" in reason
    assert "N1" in reason
    assert skip(cif(TWO + "\nC2 C 0.1 0.2 0.36")).rule == "close_contact"
    assert one(cif(TWO + "\nC2 C 0.1 0.2 0.36"), min_distance=0.3).n_atoms == 3


OCCUPIED = "occupancy disorder_assembly disorder_group"


def test_the_major_component_of_disorder_is_kept() -> None:
    crystal = one(cif(
        "C1 C 0.1 0.2 0.3 1 . .\nO1 O 0.4 0.6 0.8 0.7(1) A 1\nO2 O 0.45 0.6 0.8 0.3 A 2\n"
        "F1 F 0.7 0.1 0.1 0.4 B 1\nF2 F 0.75 0.1 0.1 0.6 B 2",
        columns=OCCUPIED,
    ))  # fmt: skip
    assert crystal.labels == ("C1", "O1", "F2")
    assert "disorder_resolved" in crystal.flags


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        ("O1 O 0.4 0.6 0.8 0.5 A 1", "disorder"),  # half of the cells have nothing there
        ("O1 O 0.4 0.6 0.8 0.5 A 1\nO2 O 0.45 0.6 0.8 0.2 A 2", "disorder"),
        ("O1 O 0.4 0.6 0.8 0.5 A -1", "disorder"),
        ("O1 O 0.4 0.6 0.8 0.5 . .", "partial_occupancy"),
        ("O1 O 0.4 0.6 0.8 0.6 . .\nS1 S 0.4 0.6 0.8 0.4 . .", "mixed_occupancy"),
    ],
)
def test_disorder_that_leaves_no_whole_component(rows: str, rule: str) -> None:
    assert skip(cif("C1 C 0.1 0.2 0.3 1 . .\n" + rows, columns=OCCUPIED)).rule == rule


def test_options_of_the_policy_on_disorder() -> None:
    pair = cif("O1 O 0.4 0.6 0.8 0.7 A 1\nO2 O 0.45 0.6 0.8 0.3 A 2", columns=OCCUPIED)
    assert skip(pair, resolve_disorder=False).rule == "disorder"
    mixed = cif("O1 O 0.4 0.6 0.8 0.95 . .\nS1 S 0.4 0.6 0.8 0.05 . .\nC1 C 0 0 0 0 . .", columns=OCCUPIED)
    assert one(mixed).labels == ("O1",)
    assert "occupancy_rounded" in one(mixed).flags
    assert skip(mixed, min_occupancy=0.99).rule == "mixed_occupancy"
    split = cif("O1 O 0.4 0.6 0.8 0.5 . .\nO1b O 0.4 0.6 0.8 0.5 . .", columns=OCCUPIED)
    assert one(split).labels == ("O1",)
    labelled = cif("O1 O 0.4 0.6 0.8 1 A 1\nO2 O 0.1 0.6 0.8 1 A 2", columns=OCCUPIED)
    assert one(labelled).n_atoms == 2  # marked, yet every atom is there


def test_limits() -> None:
    assert skip(cif(TWO), max_atoms=1).rule == "too_many_atoms"
    centred = cif(TWO, extra="loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\nx+1/2,y+1/2,z\n")
    assert skip(centred, max_atoms=3).rule == "too_many_atoms"


def test_hydrogens_that_the_formula_promises() -> None:
    atoms = "C1 C 0.1 0.2 0.3\nC2 C 0.4 0.6 0.8\nH1 H 0.1 0.35 0.3"
    assert "missing_hydrogen" in one(cif(atoms, extra="_chemical_formula_sum 'C H2'")).flags
    assert "missing_hydrogen" not in one(cif(atoms, extra="_chemical_formula_sum 'C2 H'")).flags
    assert "missing_hydrogen" not in one(cif(atoms, extra="_chemical_formula_sum 'C0 H2'")).flags
    assert "has_hydrogen" in one(cif(atoms)).flags


def test_single_values_instead_of_a_loop() -> None:
    text = (
        cif("").split("loop_")[0]
        + "_atom_site_label Cu1\n_atom_site_fract_x 0\n_atom_site_fract_y 0\n_atom_site_fract_z 0\n"
    )
    assert one(text).numbers.tolist() == [29]


def test_reasons_travel_between_processes() -> None:
    reason = pickle.loads(pickle.dumps(Reason("syntax", "a sentence")))
    assert reason == "a sentence"
    assert reason.rule == "syntax"


def test_awkward_numbers() -> None:
    rows = [
        ".5 0.33333(12) -0.0",
        "12. +.25 0.123456789012",
        "1(1) 99999.5 -.125(3)",
        "1e-1 0.1 0.12345678901234567",
    ]
    text = cif("\n".join(f"C{i} C {row}" for i, row in enumerate(rows)))
    table = read_atoms(gemmi.cif.read_string(text)[0])
    expected = [[0.5, 0.33333, 0], [12, 0.25, 0.123456789012], [1, 99999.5, -0.125]]
    expected.append([0.1, 0.1, 0.12345678901234567])
    assert table.fractional.tolist() == expected


@pytest.mark.parametrize(("flag", "kept"), [("d", 2), ("calc", 2), ("dum", 1), ("Dum", 1)])
def test_dummies_are_dropped(flag: str, kept: int) -> None:
    atoms = f"C1 C 0.1 0.2 0.3 1 d\nX1 C 0.4 0.2(1) 0.3 1 {flag}"
    assert one(cif(atoms, columns="occupancy calc_flag")).n_atoms == kept


@pytest.mark.parametrize("row", ["'C1' C 0 0 0", "C1 C 0 0 1e-3", "C1 C # \n 0 0 0", "C1 Cval 0 0 0"])
def test_unusual_rows(row: str) -> None:
    crystal = one(cif(row))
    assert crystal.numbers.tolist() == [6]
    assert crystal.labels == ("C1",)
