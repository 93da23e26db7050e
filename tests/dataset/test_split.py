"""Families, entries, groups and splits."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.dataset.split import entry, family, groups, split_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ABAVIJ", "ABAVIJ"),
        ("ABAVIJ01", "ABAVIJ"),
        ("ABAVIJ_clean", "ABAVIJ"),
        ("ABAVIJ01_neutral_b", "ABAVIJ"),
        ("ABAVIJ-relaxed", "ABAVIJ"),
        ("2016452", "cod-2016452"),
        ("cod-2016452", "cod-2016452"),
        ("COD_2016452", "cod-2016452"),
        ("mp-10003", "mp-10003"),
        ("qmof-00019ff", "qmof-00019ff"),
        ("1499489-acs.cgd.6b01265_1499490_clean", "1499489-acs.cgd.6b01265_1499490"),
        ("1499489-acs.cgd.6b01265_1499490_freeONLY", "1499489-acs.cgd.6b01265_1499490"),
        ("acs.cgd.5b01554_VAGNUP1452791_auto", "acs.cgd.5b01554_VAGNUP1452791"),
        ("x_clean_h_min", "x"),
        ("BaAs4_001165_sg65", "BaAs4_001165_sg65"),
        ("ABAVIJK", "ABAVIJK"),
        ("ABAVIJ1", "ABAVIJ1"),
        ("ABAVIJ012", "ABAVIJ012"),
        ("abavij", "abavij"),
        ("12016452", "12016452"),
        ("quartz", "quartz"),
    ],
)
def test_family(name: str, expected: str) -> None:
    assert family(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ABAVIJ_clean", "ABAVIJ"),
        ("ABAVIJ01_freeONLY", "ABAVIJ01"),
        ("ABAVIJ01", "ABAVIJ01"),
        ("c4dt03702b_c4dt03702b2_clean", "c4dt03702b_c4dt03702b2"),
        ("quartz", None),
        ("1", None),
    ],
)
def test_entry(name: str, expected: str | None) -> None:
    assert entry(name) == expected


def reference_groups(formulas: list[str], families: list[str]) -> list[str]:
    """Grow each component by hand until nothing more joins it."""
    result = []
    for start in range(len(formulas)):
        members = {start}
        while True:
            joined = {
                i
                for i in range(len(formulas))
                if any(formulas[i] == formulas[j] or families[i] == families[j] for j in members)
            }
            if joined == members:
                break
            members = joined
        result.append(min(formulas[i] for i in members))
    return result


@settings(deadline=None)  # the first call imports SciPy
@given(st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.sampled_from("abcdefgh")), max_size=14))
def test_groups_are_connected_components(pairs: list[tuple[str, str]]) -> None:
    formulas = [formula for formula, _ in pairs]
    families = [kin for _, kin in pairs]
    assert groups(formulas, families) == reference_groups(formulas, families)


def test_redetermination_and_shared_formula_stay_together() -> None:
    names = ["ABAVIJ_clean", "ABAVIJ01_clean", "ZZZZZZ", "QQQQQQ", "2016452"]
    formulas = ["C2H4O", "C2H3O", "C2H3O", "NaCl", "C2H4O"]
    found = groups(formulas, [family(name) for name in names])
    # The redetermination joins two formulas, each of which brings in another crystal.
    assert found == ["C2H3O", "C2H3O", "C2H3O", "NaCl", "C2H3O"]


@given(st.text(max_size=20))
def test_split_is_the_documented_hash(group: str) -> None:
    remainder = int.from_bytes(hashlib.sha256(group.encode()).digest(), "big") % 10
    assert split_of(group) == ("test" if remainder == 0 else "val" if remainder == 1 else "train")


def test_split_shares() -> None:
    splits = [split_of(f"C{n}H{n + 2}") for n in range(5000)]
    assert 0.08 < splits.count("test") / 5000 < 0.12
    assert 0.08 < splits.count("val") / 5000 < 0.12
