"""The block of a plain CIF says what gemmi's says, or leaves the file to gemmi."""

from __future__ import annotations

import pickle
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.crystal import Crystal
from atomsight.readers import DEFAULT, crystals_of, crystals_of_many
from atomsight.readers._at_once import plain_crystals
from atomsight.readers._block import Block, plain_block
from atomsight.readers._syntax import parse
from atomsight.readers._walk import CELL, TAGS
from atomsight.readers.member import Member

DATA = Path(__file__).parents[1] / "data"
FILES = sorted(path for path in DATA.rglob("*.cif"))

WORDS = [
    *("1", "0.25(3)", "-.5", "?", ".", "C1", "Zn", "x;y", "a#b", "it's", "12abc", "Sc", "DATA", "lo", "1e3"),
    *(
        "'x, y, z'",
        '"P 1"',
        "'it's'",
        "''",
        "'a\tb'",
        "'a'#c",
        "\n;text\n two\n;\n",
        "\n;\n;\n",
        "d_1",
        "loopy",
    ),
    *("loop_", "data_", "data_y", "save_", "stop_", "global_", "$x", "[x]", "x]", "_", "'open", ";x", "#c\n"),
    *("Data_z", "LOOP_", "loop_x", "global_x", "save_frame", "\x01", "a\x7f", "\x0b", "\r", "\r\n"),
]
BLANKS = [" ", "\n", "\t", "  \n", "\r\n", " # said\n", "\n#\n"]


def alike(block: Block, other: gemmi.cif.Block) -> None:
    assert block.name == other.name
    for tag in TAGS:
        assert block.find_value(tag) == other.find_value(tag)
        column, known = block.find_values(tag), other.find_values(tag)
        assert (list(column), len(column)) == (list(known), len(known))
        looped, theirs = block.find_loop(tag), other.find_loop(tag)
        assert (bool(looped), len(looped)) == (bool(theirs), len(theirs))
        loop, its = looped.get_loop(), theirs.get_loop()
        assert (loop is None) == (its is None)
        if loop is not None and its is not None:
            assert (loop.tags, loop.values) == (its.tags, its.values)
            assert (loop.width(), loop.length()) == (its.width(), its.length())


def check(text: bytes) -> bool:
    """Whether the text is plain; if it is, gemmi must agree."""
    block = plain_block(text)
    if block is None:
        return False
    document = gemmi.cif.read_string(text)
    assert len(document) == 1
    alike(block, document[0])
    cell = [document[0].find_value(tag) for tag in CELL]
    for value, stated in zip(block.cell.tolist(), cell, strict=True):
        if not np.isnan(value):
            assert stated is not None
            assert value == gemmi.cif.as_number(stated)
    return True


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files(path: Path) -> None:
    check(path.read_bytes())


def test_most_real_files_are_plain() -> None:
    texts = [path.read_bytes() for path in FILES]
    assert sum(plain_block(text) is not None for text in texts) > 0.7 * len(texts)


tags = st.sampled_from(
    [*TAGS[:8], *TAGS[-16:], "_other", "_Other", "_cell_length_a", "_CELL_LENGTH_B", "_x.y"]
)
pieces = st.one_of(tags, st.sampled_from(WORDS))
lists = st.lists(st.sampled_from(["_atom_site_", "_geom_bond_", "_q_"]), max_size=3, unique=True)


@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.tuples(pieces, st.sampled_from(BLANKS)), max_size=14),
    st.sampled_from(["", "#\\#CIF_1.1\n", " "]),
)
def test_any_words_in_any_order(parts: list[tuple[str, str]], head: str) -> None:
    check((head + "data_x\n" + "".join(word + blank for word, blank in parts)).encode())


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Items and lists that are mostly as they should be."""
    values = st.sampled_from([word for word in WORDS if word[0] not in "_\x01\x0b\r#"])
    lines = ["data_x"]
    lines += [f"{tag} {draw(values)}" for tag in draw(st.lists(tags, max_size=4, unique=True))]
    for prefix in draw(lists):
        width = draw(st.integers(1, 4))
        names = ["label", "type_symbol", "fract_x", "fract_y"][:width]
        rows = draw(st.integers(0, 3))
        wrong = draw(st.sampled_from([0, 0, 0, 0, 1]))
        lines += ["loop_", *(prefix + name for name in names)]
        lines.append(" ".join(draw(values) for _ in range(width * rows + wrong)))
    return "\n".join(lines) + draw(st.sampled_from(["", "\n", " "]))


@settings(max_examples=600, deadline=None)
@given(tables())
def test_items_and_lists(text: str) -> None:
    check(text.encode())


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(FILES[:6]),
    st.integers(0, 10**6),
    st.sampled_from([*WORDS, *BLANKS, ""]),
    st.integers(0, 40),
)
def test_real_files_with_a_piece_replaced(path: Path, place: int, piece: str, length: int) -> None:
    text = path.read_bytes()
    place %= len(text)
    check(text[:place] + piece.encode() + text[place + length :])


@pytest.mark.parametrize(
    "text",
    [
        "data_a\n_x 1\ndata_b\n_x 2\n",
        "data_a\n_x 1\n_X 2\n",
        "data_a\n_x\n",
        "data_a\nloop_\n_x\n",
        "data_a\nloop_\n_x _y\n1 2 3\n",
        "data_\n_x 1\n",
        "data_a\nsave_f\n_x 1\nsave_\n",
        "data_a\nloop_ _x 1 2 stop_\n",
        "data_a _x 'open\n",
        "data_a\n_x\n;open\n",
        "data_a _x $f",
        "_x 1",
        "",
        "# nothing",
    ],
)
def test_what_is_rare_or_wrong_is_left_to_gemmi(text: str) -> None:
    assert plain_block(text.encode()) is None


def test_a_quote_within_a_word_does_not_end_it() -> None:
    assert check(b"data_a loop_ _atom_site_label 'it's' 'a''b'\n")


def test_a_single_row_is_a_value() -> None:
    assert check(b"data_a loop_ _atom_site_label _atom_site_fract_x C1 0.5 _cell_length_a 3.0(1)\n")


def test_a_long_list_of_tags_is_left_to_gemmi() -> None:
    few, many = (f"data_a\n{''.join(f'_t{i} {i}' + chr(10) for i in range(n))}".encode() for n in (500, 600))
    assert check(few)
    assert plain_block(many) is None


def test_a_crystal_is_the_same_by_either_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    from atomsight.readers import _syntax

    members = [Member(path.stem, path.name, path.read_bytes()) for path in FILES]
    ours = [crystals_of(member) for member in members]
    monkeypatch.setattr(_syntax, "plain_block", lambda text: None)
    assert not isinstance(parse(members[0].data)[0], list)
    for crystals, member in zip(ours, members, strict=True):
        for one, other in zip(crystals, crystals_of(member), strict=True):
            same(one, other)


def test_many_files_at_once_give_what_each_gives() -> None:
    members = [Member(path.stem, path.name, path.read_bytes()) for path in FILES]
    members += [Member(f"p{i}", f"p{i}.cif", text.encode()) for i, text in enumerate(AWKWARD)]
    members.append(Member("POSCAR", "POSCAR", b"no structure", "poscar"))
    together: list[tuple[str, str]] = []
    alone: list[tuple[str, str]] = []
    many = list(crystals_of_many(members, on_skip=lambda source, reason: together.append((source, reason))))
    assert [member for member, _ in many] == members
    quick = plain_crystals(members[:-1], DEFAULT)
    assert sum(crystal is not None for crystal in quick) > 3
    for member, crystals in many:
        each = crystals_of(member, on_skip=lambda source, reason: alone.append((source, reason)))
        assert len(crystals) == len(each)
        for one, other in zip(crystals, each, strict=True):
            same(one, other)
            same(pickle.loads(pickle.dumps(one)), other)
    assert together == alone


P1 = """data_x
_cell_length_a 4.0
_cell_length_b 5.1(2)
_cell_length_c 6.2
_cell_angle_alpha 90
_cell_angle_beta 90.00
_cell_angle_gamma 100.5
_chemical_formula_sum 'C2 O H4'
loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
C1 C 0.1 0.2 0.3
C2 C 0.6 0.7 -0.2
O1 O 1.35 0.4 0.55
"""
IDENTITIES = [
    "'y, x, z'",
    "x,y,x",
    "x;y;z",
    "x,y,z",
    "'x,y,z'",
    '"X, Y, Z"',
    "'+x,+y,+z'",
    "'x, y, -z'",
    "'x, y'",
    "'x y z'",
    "?",
    "-x,-y,-z",
]
AWKWARD = [
    *(P1.replace("'x, y, z'", identity) for identity in IDENTITIES),
    P1.replace("'x, y, z'", "'x, y, z'\n'-x, -y, -z'"),
    P1.replace("C2 C 0.6", "C2 D 0.6"),
    P1.replace("C2 C 0.6 0.7 -0.2", "C2 C 0.1 0.2 0.3"),
    P1.replace("C2 C 0.6 0.7 -0.2", "C2 C 0.1 0.2 0.35"),
    P1.replace("C2 C 0.6", "C2 C ?"),
    P1.replace("C2 C 0.6", "C2 Xx 0.6"),
    P1.replace("C2 C 0.6", "C2 C 1e308"),
    P1.replace("C2 C 0.6", "C2 C 12345678.6"),
    P1.replace("C2 C 0.6", "C2 C 1e308").replace("'x, y, z'", "'x, y, z'\n'-x, -y, -z'"),
    P1.replace("_cell_length_a 4.0", "_cell_length_a 0.4"),
    P1.replace("_cell_length_a 4.0", "_cell_length_a 400"),
    P1.replace("_cell_length_a 4.0", "_cell_length_a ?"),
    P1.replace("_cell_length_a 4.0\n", ""),
    P1.replace("90.00", "180"),
    P1.replace("_cell_length_a", "_cod_database_code 1234567\n_cell_length_a"),
    P1.replace("_cell_length_a", "_cod_database_code 12\n_cell_length_a"),
    P1.replace("'C2 O H4'", "?"),
    P1.replace("_chemical_formula_sum 'C2 O H4'", "loop_ _chemical_formula_sum 'C2 O H4'"),
    P1 + "loop_ _geom_bond_atom_site_label_1 _geom_bond_atom_site_label_2 C1 O1\n",
    P1 + "_geom_bond_atom_site_label_1 C1 _geom_bond_atom_site_label_2 O1\n",
    P1 + P1.replace("data_x", "data_y"),
    P1.replace("loop_\n_symmetry_equiv_pos_as_xyz\n", "_symmetry_equiv_pos_as_xyz "),
    P1.replace("loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n", ""),
    P1.replace("loop_\n_symmetry", "_space_group_symop_operation_xyz '-x,-y,-z'\nloop_\n_symmetry"),
    P1.replace("O1 O 1.35", "'O1' O 1.35"),
    P1.replace("C1 C", "Ä1 C"),
    P1.replace("loop_\n_atom", "loop_\n_atom_site_occupancy\n_atom")
    .replace("\nC", "\n1.0 C")
    .replace("\nO", "\n.5 O"),
    "",
    "data_x",
]


def same(one: Crystal, other: Crystal) -> None:
    for field in ("lattice", "fractional", "numbers", "orbits"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        assert getattr(one, field).dtype == getattr(other, field).dtype
    for field in ("name", "source", "labels", "flags", "space_group", "formula_sum"):
        assert getattr(one, field) == getattr(other, field)
    assert (one.bonds is None) == (other.bonds is None)
    if one.bonds is not None and other.bonds is not None:
        np.testing.assert_array_equal(one.bonds.lengths, other.bonds.lengths)
        np.testing.assert_array_equal(one.bonds.types, other.bonds.types)
