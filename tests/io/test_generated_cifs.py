"""Valid CIFs of many shapes give the crystals that a slow assembly in plain Python gives."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.io import crystals_of
from atomsight.io.member import Member

GROUPS = {
    "P 1": ["x,y,z"],
    "P -1": ["x,y,z", "-x,-y,-z"],
    "P 1 21/c 1": ["x,y,z", "-x,y+1/2,-z+1/2", "-x,-y,-z", "x,-y+1/2,z+1/2"],
    "C 1 2 1": ["x,y,z", "-x,y,-z", "x+1/2,y+1/2,z", "-x+1/2,y+1/2,-z"],
}
ELEMENTS = {"C": 6, "O": 8, "Zn": 30, "H": 1, "Cl": 17}
GENERAL = [
    [(0.10, 0.12), (0.21, 0.23), (0.36, 0.38)],
    [(-0.70, -0.68), (0.06, 0.08), (0.18, 0.20)],
    [(0.42, 0.44), (1.40, 1.42), (0.12, 0.14)],
    [(0.06, 0.08), (0.33, 0.35), (-0.92, -0.90)],
]
"""Ranges of positions off the symmetry elements and apart from each other."""

SPECIAL = 0.4
"""Å; copies of an atom that are closer are one atom."""


@dataclass
class Example:
    """A CIF with what it was made of."""

    text: str
    cell: list[float]
    operations: list[str]
    labels: list[str]
    symbols: list[str]
    positions: list[list[float]]
    bonds: int


def quoted(draw: st.DrawFn, word: str) -> str:
    """A value in one of the ways to write it."""
    ways = [f"'{word}'", f'"{word}"', f"\n;{word}\n;\n"]
    return draw(st.sampled_from(ways if " " in word else [word, word, *ways]))


@st.composite
def numbers(draw: st.DrawFn, low: float, high: float) -> tuple[str, float]:
    """A number as it is written, and its value."""
    value = round(draw(st.floats(low, high)), draw(st.integers(2, 6)))
    text = draw(st.sampled_from([f"{value:.6f}", repr(value), re.sub("^(-?)0[.]", r"\1.", f"{value:.6f}")]))
    return text + draw(st.sampled_from(["", "", "(3)", "(12)"])), value


@st.composite
def cifs(draw: st.DrawFn) -> Example:
    """A CIF that a strict parser accepts, of a crystal with few atoms far apart."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    blank = st.sampled_from([" ", "  ", "\t", "\n", " # a comment 'with' loop_\n", "\n\n"])
    group = draw(st.sampled_from(sorted(GROUPS)))
    lengths = [draw(numbers(6.5, 9.5)) for _ in range(3)]
    angles = [("90", 90.0), draw(numbers(80, 100)), ("90.0", 90.0)]
    parts = []
    for name, (text, _) in zip(
        ["length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"],
        lengths + angles,
        strict=True,
    ):
        tag = draw(st.sampled_from([f"_cell_{name}", f"_CELL_{name}"]))
        parts.append(f"{tag}{draw(blank)}{text}")
    operations = GROUPS[group]
    if draw(st.booleans()):
        words = [draw(st.sampled_from([op, op.upper(), op.replace(",", ", ")])) for op in operations]
        tag = draw(st.sampled_from(["_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz"]))
        parts.append(f"loop_{draw(blank)}{tag}\n" + "\n".join(quoted(draw, word) for word in words))
    else:
        parts.append(f"_symmetry_space_group_name_H-M {quoted(draw, group)}")
    n = draw(st.integers(1, 4))
    symbols = [draw(st.sampled_from(sorted(ELEMENTS))) for _ in range(n)]
    labels = [
        f"{symbol}{i}{draw(st.sampled_from(['', 'A', '_2', chr(39)]))}" for i, symbol in enumerate(symbols)
    ]
    anywhere = [(-0.4, 1.4)] * 3
    places = [
        [draw(numbers(*bounds)) for bounds in draw(st.sampled_from([general, general, general, anywhere]))]
        for general in draw(st.permutations(GENERAL))[:n]
    ]
    columns = {
        "label": [quoted(draw, label) for label in labels],
        "type_symbol": [symbol + draw(st.sampled_from(["", "2+", "1-"])) for symbol in symbols],
        "fract_x": [place[0][0] for place in places],
        "fract_y": [place[1][0] for place in places],
        "fract_z": [place[2][0] for place in places],
    }
    extra = {
        "occupancy": st.sampled_from(["1", "1.0", ".", "1.000(2)"]),
        "U_iso_or_equiv": st.sampled_from(["0.02(1)", "?"]),
        "calc_flag": st.sampled_from(["d", "calc", "."]),
        "disorder_group": st.sampled_from([".", "?", "0"]),
    }
    for name in draw(st.lists(st.sampled_from(sorted(extra)), unique=True)):
        columns[name] = [draw(extra[name]) for _ in range(n)]
    order = draw(st.permutations(sorted(columns)))
    rows = [draw(blank).join(columns[name][i] for name in order) for i in range(n)]
    parts.append("\n".join(["loop_", *(f"_atom_site_{name}" for name in order), *rows]))
    bonds = draw(st.integers(0, 2))
    if bonds:
        ends = [f"{quoted(draw, labels[0])} {quoted(draw, labels[-1])} 1.5(1)" for _ in range(bonds)]
        tags = ["_geom_bond_atom_site_label_1", "_geom_bond_atom_site_label_2", "_geom_bond_distance"]
        parts.append("\n".join(["loop_", *tags, *ends]))
    others = [
        "_publ_section_title\n;\n A title: loop_ data_x _cell_length_a 1\n;",
        "_audit_creation_date 2001-01-01",
        "loop_ _author 'A. B' \"C 'D' E\"",
        "# _cell_length_a 3",
        "_journal_name 'it's a name'",
    ]
    parts += draw(st.lists(st.sampled_from(others), unique=True, max_size=3))
    text = "\n".join(["data_made", *draw(st.permutations(parts)), ""]).replace("\n", end)
    positions = [[value for _, value in place] for place in places]
    cell = [value for _, value in lengths + angles]
    return Example(text, cell, operations, labels, symbols, positions, bonds)


def vectors_of(cell: list[float]) -> list[list[float]]:
    """Rows of the lattice."""
    a, b, c, *angles = cell
    cos_a, cos_b, cos_g = (math.cos(math.radians(angle)) for angle in angles)
    sin_g = math.sqrt(1 - cos_g**2)
    x, y = c * cos_b, c * (cos_a - cos_b * cos_g) / sin_g
    return [[a, 0, 0], [b * cos_g, b * sin_g, 0], [x, y, math.sqrt(c * c - x * x - y * y)]]


def apart(one: list[float], other: list[float], lattice: list[list[float]]) -> float:
    """Å between an atom and the closest copy of another."""
    gap = [u - v - round(u - v) for u, v in zip(one, other, strict=True)]
    found = []
    for cell in itertools.product((-1, 0, 1), repeat=3):
        steps = [g + s for g, s in zip(gap, cell, strict=True)]
        found.append(
            math.dist([sum(steps[i] * lattice[i][k] for i in range(3)) for k in range(3)], (0, 0, 0))
        )
    return min(found)


def moved(operation: str, place: list[float]) -> list[float]:
    """Where an operation takes a position, within the cell."""
    names = dict(zip("xyz", place, strict=True))
    return [eval(part, {"__builtins__": {}}, names) % 1 for part in operation.split(",")]


def assembled(example: Example) -> list[tuple[int, list[float]]] | None:
    """Site and position of every atom of the cell; None where a policy decides: atoms close together."""
    lattice = vectors_of(example.cell)
    atoms = []
    for site, place in enumerate(example.positions):
        copies = [moved(operation, place) for operation in example.operations]
        if any(apart(a, b, lattice) < 1.1 * SPECIAL for a, b in itertools.combinations(copies, 2)):
            return None
        atoms += [(site, copy) for copy in copies]
    pairs = itertools.combinations(atoms, 2)
    return None if any(apart(a[1], b[1], lattice) < 0.55 for a, b in pairs) else atoms


def test_valid_cifs() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=250, deadline=None)
    @given(cifs())
    def run(example: Example) -> None:
        seen["all"] += 1
        skips: list[str] = []
        member = Member("made", "made.cif", example.text.encode())
        found = crystals_of(member, on_skip=lambda source, reason: skips.append(reason.rule))  # type: ignore[attr-defined]
        assert set(skips) <= {"close_contact"}, skips
        expected = assembled(example)
        if expected is None:
            return
        seen["compared"] += 1
        (crystal,) = found
        np.testing.assert_allclose(crystal.lattice, vectors_of(example.cell), atol=1e-9)
        sites = [site for site, _ in expected]
        gap = crystal.fractional - np.array([place for _, place in expected])
        np.testing.assert_allclose(gap - np.round(gap), 0, atol=1e-9)
        assert [ELEMENTS[example.symbols[site]] for site in sites] == crystal.numbers.tolist()
        if len(example.operations) > 1:
            assert crystal.orbits.tolist() == sites
            assert tuple(crystal.labels) == tuple(example.labels)
        else:
            assert "from_p1" in crystal.flags
            assert set(crystal.labels) <= set(example.labels)
        seen["bonds"] += crystal.bonds is not None or "bond_table_misfit" in crystal.flags
        if not example.bonds:
            assert crystal.bonds is None

    run()
    assert seen["compared"] >= 0.8 * seen["all"], seen
    assert seen["bonds"] >= 0.2 * seen["all"], seen
