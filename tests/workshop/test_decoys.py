from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight import nearest_neighbours, read
from atomsight.core.crystal import Crystal
from atomsight.geometry.bonds.molecules import HYDROGEN_LENGTHS, joined_by_metals, molecules_of, normalised
from atomsight.geometry.crystal_class import crystal_class
from atomsight.rank.calibration import FILE, RankCalibration
from atomsight.rank.molecules.contacts import (
    BINS,
    PAIRS,
    atom_types,
    contacts_of,
    histogram,
    packing,
    potential,
)
from atomsight.rank.volume import fit_volumes
from perovskite import perovskite
from workshop import decoys
from workshop.calibrate_rank import no_overlap
from workshop.calibrate_verdicts import (
    MOST_DRAWS,
    by_formula,
    mixed_decoys,
    repeated,
    under_pressure,
    write,
)
from workshop.margins import Margins
from workshop.packings import repacked
from workshop.plausibility.examples import bank_of
from workshop.plausibility.prototypes import same_prototype

EXAMPLES = Path(__file__).parents[2] / "examples"
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def ibuprofen() -> Crystal:
    return next(read(EXAMPLES / "ibuprofen.cif"))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_decoys_keep_formula_and_volume(seed: int) -> None:
    crystal = perovskite()
    generator = np.random.default_rng(seed)
    made = [
        decoys.shifted(crystal, generator, 0.2),
        decoys.strained(crystal, generator, 0.1),
        decoys.packed(crystal, generator),
        decoys.swapped(crystal, generator),
        decoys.decorated(crystal, crystal, generator),
    ]
    for decoy in made:
        if decoy is not None:
            assert decoy.counts == crystal.counts
            assert decoy.volume == pytest.approx(crystal.volume)
            assert len(decoy.labels) == decoy.n_sites == decoy.orbits.max() + 1


def again_of(decoys_of: list[Crystal], crystal: Crystal) -> list[bool]:
    return [same_prototype(decoy, crystal) for decoy in decoys_of]


def test_what_makes_the_crystal_again_is_no_decoy() -> None:
    crystal = next(read(DATA / "halite.cif"))
    generator = np.random.default_rng(3)
    near = decoys.strained(crystal, generator, 0.03)
    far = decoys.strained(crystal, generator, 0.19)
    assert again_of([near, far], crystal) == [True, False]
    made = list(mixed_decoys(crystal, {}, 24, generator))
    assert len(made) == 24
    assert not any(again_of(made, crystal))
    assert all(no_overlap(decoy) for decoy in made)


def test_another_known_form_is_no_decoy() -> None:
    halite = next(read(DATA / "halite.cif"))
    caesium_chloride = replace(
        halite,
        lattice=4.12 * np.eye(3),
        fractional=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
        numbers=np.array([55, 17], np.uint8),
        orbits=np.arange(2, dtype=np.int32),
        labels=("Cs", "Cl"),
        bonds=None,
        formula_sum=None,
    )
    other = decoys.with_elements(caesium_chloride, np.array([11, 17], np.uint8))
    assert by_formula([halite, other])[halite.formula] == [halite, other]
    bank = bank_of([caesium_chloride])

    def alike(forms: tuple[Crystal, ...]) -> bool:
        made = mixed_decoys(halite, bank, 30, np.random.default_rng(0), forms)
        return any(same_prototype(decoy, other) for decoy in made)

    assert alike(())
    assert not alike((other,))


@pytest.mark.parametrize(("far", "kind"), [(5.0, "framework"), (6.0, "molecular")])
def test_long_bonds_of_metals_make_a_framework(far: float, kind: str) -> None:
    """Lead methoxide molecules in a row: oxygen 2.3 Å from its lead, and 2.7 or 3.7 Å from the next."""
    places = np.array(
        [[0, 0, 0], [2.3, 0, 0], [2.3, 1.4, 0], [3.33, 1.75, 0], [1.8, 1.75, 0.9], [1.8, 1.75, -0.9]]
    )
    lattice = np.diag([far, 12.0, 12.0])
    numbers = np.array([82, 8, 6, 1, 1, 1], np.uint8)
    labels = ("Pb", "O", "C", "H1", "H2", "H3")
    orbits = np.arange(6, dtype=np.int32)
    row = Crystal("row", lattice, places @ np.linalg.inv(lattice) % 1, numbers, orbits, labels)
    molecules = molecules_of(row)
    assert molecules.finite
    assert joined_by_metals(row, molecules) == (kind == "framework")
    assert crystal_class(row)[0] == kind


def test_molecules_without_metals_are_joined_by_none(ibuprofen: Crystal) -> None:
    assert not joined_by_metals(ibuprofen, molecules_of(ibuprofen))


def test_packed_atoms_are_apart() -> None:
    decoy = decoys.packed(perovskite(), np.random.default_rng(0))
    assert nearest_neighbours(decoy.lattice, decoy.fractional, 1)[0].min() > 1.5


def test_decorated_gives_elements_to_those_that_are_as_many() -> None:
    halite = next(read(DATA / "halite.cif"))
    assert decoys.stoichiometry(halite) == (1, 1)
    decoy = decoys.decorated(halite, halite, np.random.default_rng(0), volume=20.0)
    assert decoy.volume / decoy.n_atoms == pytest.approx(20.0)
    assert decoy.counts == halite.counts


def test_molecules_are_made_whole(ibuprofen: Crystal) -> None:
    molecules = molecules_of(ibuprofen)
    assert molecules.finite
    assert len(molecules.endless) == 4
    whole = (ibuprofen.fractional + molecules.shift) @ ibuprofen.lattice
    graph = molecules.graph
    bonds = np.linalg.norm(whole[graph.first] - whole[graph.second], axis=1)
    np.testing.assert_allclose(bonds, graph.length, atol=1e-9)


def test_frameworks_are_endless() -> None:
    assert not molecules_of(next(read(DATA / "PIYZAZ_freeONLY.cif"))).finite
    assert not molecules_of(next(read(DATA / "halite.cif"))).finite


def test_contacts_leave_the_molecule_out(ibuprofen: Crystal) -> None:
    molecules = molecules_of(ibuprofen)
    contacts = contacts_of(ibuprofen, molecules)
    distance = contacts.distance
    # the shortest contact of carboxylic acid dimers is the hydrogen bond
    assert 1.5 < distance.min() < 2.0
    assert histogram(contacts).shape == (PAIRS, BINS)
    filled, clash, unmet = packing(contacts)
    assert 0.6 < filled < 0.75
    assert clash < 0.2
    assert unmet == 0
    assert (atom_types(molecules) == 1).sum() == 4


def test_hydrogens_are_put_where_neutrons_see_them(ibuprofen: Crystal) -> None:
    molecules = molecules_of(ibuprofen)
    moved = normalised(ibuprofen, molecules)
    length = nearest_neighbours(moved.lattice, moved.fractional, 1)[0][moved.numbers == 1, 0]
    assert set(np.round(length, 3)) <= set(HYDROGEN_LENGTHS.values())
    again = normalised(moved, molecules_of(moved))
    np.testing.assert_allclose(again.fractional, moved.fractional, atol=1e-9)


def test_packings_keep_molecules_and_volume(ibuprofen: Crystal) -> None:
    molecules = molecules_of(ibuprofen)
    generator = np.random.default_rng(0)
    made = [repacked(ibuprofen, molecules, generator) for _ in range(4)]
    done = [packing for packing in made if packing is not None]
    assert len(done) >= 2
    for decoy in done:
        assert decoy.counts == ibuprofen.counts
        assert decoy.volume == pytest.approx(ibuprofen.volume)
    real = histogram(contacts_of(ibuprofen, molecules))
    table = potential([(real, [histogram(contacts_of(decoy, molecules_of(decoy))) for decoy in done])])
    assert (real * table).sum() > max(
        (histogram(contacts_of(d, molecules_of(d))) * table).sum() for d in done
    )


def test_volumes_of_elements_are_found_again() -> None:
    generator = np.random.default_rng(0)
    truth = generator.uniform(5, 40, 128)
    counts = np.zeros((400, 128))
    for row in counts:
        row[generator.choice(np.arange(1, 20), 3, replace=False)] = generator.integers(1, 6, 3)
    volumes = counts @ truth * np.exp(generator.normal(0, 0.02, 400))
    volumes[:20] *= 1.8
    found = fit_volumes(counts, volumes)
    np.testing.assert_allclose(found[1:20], truth[1:20], rtol=0.15)


def test_crystals_under_pressure_are_found(tmp_path: Path) -> None:
    files = {
        "pressed": "_diffrn_ambient_pressure 6200000(50000)",
        "frozen": "_publ_section_title\n;\n Pressure-frozen benzene\n;",
        "short": "_publ_section_title 'Ice under pressure'",
        "air": "_cell_measurement_pressure 101.3",
        "unknown": "_diffrn_ambient_pressure ?",
        "other": "_publ_section_title\n;\n Benzene\n;\n_exptl_special_details 'no pressure'",
    }
    for name, line in files.items():
        (tmp_path / f"{name}.cif").write_text(f"data_{name}\n{line}\n")
    found = {Path(source).stem for source in under_pressure(tmp_path)}
    assert found == {"pressed", "frozen", "short"}


def margins_of(margins: list[float], archives: list[str], formulas: list[str]) -> Margins:
    return Margins(margins, [0.0] * len(margins), [9] * len(margins), archives, formulas)


def test_archives_count_alike_for_a_limit() -> None:
    archives, formulas = ["small", *["large"] * 4], ["NaCl", "KCl", "KBr", "KI", "KF"]
    few = margins_of([-3.0, -1.0, -1.5, -0.5, 0.0], archives, formulas)
    assert few.balanced(few.margins).tolist() == [-3.0, -3.0, -0.5]  # 8 ** 2 / (4 ** 2 + 4) compounds


def test_crystals_of_one_formula_count_as_one_for_a_limit() -> None:
    margins = [-3.0, -1.0, -1.5, -0.5]
    four = margins_of(margins, ["a"] * 4, ["Na", "K", "Rb", "Cs"])
    two = margins_of(margins, ["a"] * 4, ["Na", "K"] * 2)
    assert four.balanced(margins).tolist() == sorted(margins)
    assert two.balanced(margins).tolist() == [-3.0, -1.0]
    often = margins_of([-3.0, -3.0, -3.0, -1.0], ["a"] * 4, ["Na", "Na", "Na", "K"])
    assert often.balanced(often.margins).tolist() == [-3.0, -1.0]
    assert Margins().balanced([]).tolist() == []


def test_crystals_that_are_looked_at_again_make_no_limit_surer() -> None:
    generator = np.random.default_rng(0)
    margins, formulas = generator.normal(size=500).tolist(), [f"C{i}" for i in range(1, 501)]
    once = margins_of(margins, ["a"] * 500, formulas)
    thrice = margins_of(margins * 3, ["a"] * 1500, formulas * 3)
    assert once.balanced(once.margins).tolist() == thrice.balanced(thrice.margins).tolist() == sorted(margins)


def test_smaller_archives_are_drawn_more_often() -> None:
    salt = next(read(DATA / "halite.cif"))
    crystals = [replace(salt, source=f"large::{i}") for i in range(30)]
    crystals += [
        replace(salt, source="some::0"),
        replace(salt, source="some::1"),
        replace(salt, source="one::0"),
    ]
    found = Counter(one.source for one in repeated(crystals, 2))
    assert {found[f"large::{i}"] for i in range(30)} == {2}
    assert found["some::0"] == found["some::1"] == found["one::0"] == 2 * MOST_DRAWS


def test_limits_go_to_their_places_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rank.npz"
    path.write_bytes(FILE.read_bytes())
    before = RankCalibration.read(path)
    write({"element": Margins([-1.0, -3.0], [2.0, 1.0], [51, 101], ["a", "a"], ["Kr", "H"])}, path)
    write({"element": Margins()}, path)  # of no crystals nothing is learnt
    after = RankCalibration.read(path)
    assert after.limits["element"].margins.tolist() == [-3.0, -1.0]
    assert after.limits["element"].scores.tolist() == [1.0, 2.0]
    assert after.limits["element"].group_size == 76
    with np.load(FILE) as one, np.load(path) as other:
        changed = {name for name in one if not np.array_equal(one[name], other[name])}
    assert changed == {"margins_element", "real_element", "crowd_element"}
    assert after.fitted_with == before.fitted_with
    relaxed, unrelaxed = after.combination(relaxed=True), after.combination(relaxed=False)
    assert relaxed.margin_thresholds(0.4)["element"] == -3.0
    assert unrelaxed.margin_thresholds(0.4)["element"] is None
