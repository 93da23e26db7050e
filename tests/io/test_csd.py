"""The CSD through a stand-in for the documented interface of the package ``ccdc``."""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import gemmi
import numpy as np
import pytest

import atomsight
from atomsight.core.crystal import BOND_TYPES, Crystal
from atomsight.core.errors import InputError, UnreachableError
from atomsight.io import QualityPolicy, csd

IBUPROFEN = Path(__file__).parents[2] / "examples" / "ibuprofen.cif"
Lengths = namedtuple("Lengths", "a b c")
Angles = namedtuple("Angles", "alpha beta gamma")
Coordinates = namedtuple("Coordinates", "x y z")


@dataclass
class Atom:
    label: str
    atomic_symbol: str
    fractional_coordinates: Coordinates | None
    occupancy: float | None = 1.0


@dataclass
class Bond:
    atoms: tuple[Atom, Atom]
    bond_type: str


@dataclass
class Molecule:
    atoms: list[Atom]
    bonds: list[Bond] = field(default_factory=list)


@dataclass
class EntryCrystal:
    cell_lengths: Lengths
    cell_angles: Angles
    spacegroup_symbol: str
    symmetry_operators: tuple[str, ...]
    asymmetric_unit_molecule: Molecule
    molecule: Molecule


@dataclass
class Entry:
    identifier: str
    crystal: EntryCrystal
    has_3d_structure: bool = True


class EntryReader:
    """`ccdc.io.EntryReader`: by place, by refcode, with a length."""

    entries: tuple[Entry, ...] = ()

    def __init__(self, database: str) -> None:
        assert database == "CSD"

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, place: int) -> Entry:
        return self.entries[place]

    def entry(self, identifier: str) -> Entry:
        for entry in self.entries:
            if entry.identifier == identifier:
                return entry
        raise RuntimeError(f"{identifier} is not in the database")


def ibuprofen(refcode: str) -> Entry:
    """Real coordinates, with the bonds that their lengths imply: C=O double, ring aromatic."""
    block = gemmi.cif.read(str(IBUPROFEN)).sole_block()
    structure = gemmi.make_small_structure_from_block(block)
    atoms = [
        Atom(s.label, s.element.name, Coordinates(s.fract.x, s.fract.y, s.fract.z)) for s in structure.sites
    ]
    cell = structure.cell
    at = [cell.orthogonalize(gemmi.Fractional(*atom.fractional_coordinates)) for atom in atoms]
    bonds = []
    for i, one in enumerate(atoms):
        for j in range(i):
            length, hydrogens = at[i].dist(at[j]), (one.atomic_symbol, atoms[j].atomic_symbol).count("H")
            if length < (1.2 if hydrogens else 1.65) and hydrogens < 2:
                pair = {one.atomic_symbol, atoms[j].atomic_symbol}
                kind = "Double" if pair == {"C", "O"} and length < 1.26 else "Single"
                kind = "Aromatic" if pair == {"C"} and length < 1.42 else kind
                bonds.append(Bond((one, atoms[j]), kind))
    group = gemmi.find_spacegroup_by_name(structure.spacegroup_hm)
    return Entry(
        refcode,
        EntryCrystal(
            Lengths(cell.a, cell.b, cell.c),
            Angles(cell.alpha, cell.beta, cell.gamma),
            structure.spacegroup_hm.replace(" ", ""),
            tuple(op.triplet() for op in group.operations()),
            Molecule(atoms),
            Molecule(atoms, bonds),
        ),
    )


def salt(
    refcode: str, centred: bool = True, shares: tuple[float | None, ...] = (1.0,), minor: bool = False
) -> Entry:
    """Rock salt; `shares` are the occupancies of a sodium that may have a minor companion beside it."""
    group = gemmi.find_spacegroup_by_name("F m -3 m").operations()
    ops = list(group) if centred else list(group.sym_ops)
    atoms = [
        Atom("Cl1", "Cl", Coordinates(0.5, 0.5, 0.5)),
        Atom("Na1", "Na", Coordinates(0, 0, 0), shares[0]),
    ]
    if minor:
        atoms.append(Atom("K1?", "K", Coordinates(0, 0, 0), shares[1]))
    return Entry(
        refcode,
        EntryCrystal(
            Lengths(5.64, 5.64, 5.64),
            Angles(90.0, 90.0, 90.0),
            "Fm-3m",
            tuple(op.triplet() for op in ops),
            Molecule(atoms),
            Molecule(atoms),
        ),
    )


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts entries into the stand-in and the stand-in in the place of the package."""
    package, io = ModuleType("ccdc"), ModuleType("ccdc.io")
    package.io = io  # type: ignore[attr-defined]
    io.EntryReader = EntryReader  # type: ignore[attr-defined]
    io.csd_version = lambda: "6.00"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ccdc", package)
    monkeypatch.setitem(sys.modules, "ccdc.io", io)
    csd.database.cache_clear()

    def fill(*entries: Entry) -> None:
        monkeypatch.setattr(EntryReader, "entries", entries)

    yield fill
    csd.database.cache_clear()


def read(asked: str, **options: Any) -> tuple[list[Crystal], list[tuple[str, str, str]]]:
    skips: list[tuple[str, str, str]] = []
    found = atomsight.read(asked, on_skip=lambda s, r: skips.append((s, r.rule, r)), **options)  # type: ignore[attr-defined]
    return list(found), skips


def test_an_entry_is_the_crystal_of_its_cif_with_the_bond_types(database: Callable[..., None]) -> None:
    database(ibuprofen("IBPRAC01"))
    (crystal,), skips = read("csd:IBPRAC01")
    known = next(atomsight.read(IBUPROFEN))
    assert skips == []
    assert (crystal.name, crystal.source) == ("IBPRAC01", "csd:IBPRAC01")
    assert crystal.labels == known.labels
    np.testing.assert_array_equal(crystal.multiplicities, known.multiplicities)
    np.testing.assert_allclose(crystal.fractional, known.fractional, atol=1e-9)
    assert crystal.bonds is not None
    counts = {word: int((crystal.bonds.types == i).sum()) for i, word in enumerate(BOND_TYPES)}
    assert counts["aromatic"] == 12  # six bonds, listed at both ends
    assert counts["double"] == 2
    assert "bond_table_misfit" not in crystal.flags


def test_entries_by_place_range_refcode_family_and_list(
    database: Callable[..., None], tmp_path: Path
) -> None:
    names = ["AAAAAA", "AAAAAA01", "AAAAAA07", "BBBBBB"]
    database(*(salt(name) for name in names))

    def found(asked: str) -> list[str]:
        return [crystal.name for crystal in read(asked)[0]]

    assert found("csd:") == names
    assert found("csd:1-3") == names[1:3]
    assert found("csd:2-") == names[2:]
    assert found("csd:BBBBBB,aaaaaa01") == ["BBBBBB", "AAAAAA01"]
    assert found("csd:AAAAAA*") == names[:3]
    (tmp_path / "hits.gcd").write_text("BBBBBB\nAAAAAA07\nnonsense\nCCCCCC\n")
    crystals, skips = read(f"csd:{tmp_path / 'hits.gcd'}")
    assert [c.name for c in crystals] == ["BBBBBB", "AAAAAA07"]
    assert [(s, rule) for s, rule, _ in skips] == [("csd:NONSENSE", "not_found"), ("csd:CCCCCC", "not_found")]
    with pytest.raises(InputError, match="csd:what"):
        read("csd:what")


def test_centring_that_the_operations_leave_out_is_added(database: Callable[..., None]) -> None:
    database(salt("AAAAAA"), salt("BBBBBB", centred=False))
    (one, two), _ = read("csd:")
    assert one.multiplicities.tolist() == two.multiplicities.tolist() == [4, 4]


def test_disorder_is_resolved_only_where_one_part_is_whole(database: Callable[..., None]) -> None:
    database(
        salt("MAJORR", shares=(0.8, 0.2), minor=True),
        salt("UNSURE", shares=(0.5, 0.2), minor=True),
        salt("NOTOLD", shares=(None, None), minor=True),
        salt("PARTLY", shares=(0.4,)),
    )
    crystals, skips = read("csd:")
    assert [(c.name, c.formula, "disorder_resolved" in c.flags) for c in crystals] == [
        ("MAJORR", "ClNa", True), ("NOTOLD", "ClNa", True),
    ]  # fmt: skip
    assert [rule for _, rule, _ in skips] == ["disorder", "partial_occupancy"]
    assert skips[0][2].startswith("UNSURE: ")
    assert read("csd:MAJORR", policy=QualityPolicy(resolve_disorder=False))[1][0][1] == "disorder"


def test_entries_without_coordinates_are_skipped(database: Callable[..., None]) -> None:
    empty, lost = salt("EMPTYY"), salt("LOSTTT")
    empty.has_3d_structure = False
    lost.crystal.asymmetric_unit_molecule.atoms[0].fractional_coordinates = None
    database(empty, lost)
    assert [rule for _, rule, _ in read("csd:")[1]] == ["no_sites", "missing_coordinates"]


def test_a_missing_package_or_licence_is_named(
    monkeypatch: pytest.MonkeyPatch, database: Callable[..., None]
) -> None:
    def unlicensed(self: object, name: str) -> None:
        raise RuntimeError("Unable to find a licence")

    monkeypatch.setattr(EntryReader, "__init__", unlicensed)
    with pytest.raises(UnreachableError, match="licence of the CCDC"):
        read("csd:")
    monkeypatch.setitem(sys.modules, "ccdc.io", None)
    with pytest.raises(UnreachableError, match="'ccdc'"):
        read("csd:ABEBUF")


def test_a_build_reads_entries_in_its_workers(database: Callable[..., None], tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from atomsight.dataset import build

    database(*(salt(f"AAAAA{letter}") for letter in "ABCDEFGH"), salt("PARTLY", shares=(0.4,)))
    alone = build("csd:", tmp_path / "one", k=4)
    with ThreadPoolExecutor(2) as executor:
        parallel = build("csd:", tmp_path / "two", k=4, executor=executor)
    assert alone.crystals == 8
    assert alone.skipped == {"partial_occupancy": 1}
    assert parallel.index["fingerprint"] == alone.index["fingerprint"]
