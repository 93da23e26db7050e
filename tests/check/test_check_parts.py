"""The parts of check: swaps, signs, tables of usual distances, suspicion, its calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import atomsight
from atomsight.check import reference
from atomsight.check import usual_distances as usual
from atomsight.check.findings import find_problems
from atomsight.check.reference import MODEL, fit_reference, load_calibration
from atomsight.check.similarity import SIMILARITY
from atomsight.check.suspicion import FEATURES, CheckInput, score_sites
from atomsight.core.crystal import Crystal
from atomsight.core.elements import NUMBERS
from atomsight.core.errors import ModelError
from atomsight.core.progress import Progress
from atomsight.geometry.crystal_class import reference_class
from atomsight.geometry.neighbours import site_surroundings
from atomsight.models import load_model
from atomsight.models.plausibility.inference import Plausibility, crystal_logits
from atomsight.web.uploads import EXAMPLES
from workshop.calibrate_check import fit_weights, without_hydrogen
from workshop.swaps import PARTNERS, SWAPS, random_swap, swappable


def molecule(symbols: str, positions: list[tuple[float, float, float]]) -> Crystal:
    """Atoms at Cartesian positions, Å, in a cubic cell of 10 Å."""
    names = symbols.split()
    points = np.array(positions) / 10 % 1.0
    numbers = np.array([NUMBERS[s] for s in names], dtype=np.uint8)
    return Crystal(
        name="made",
        lattice=10 * np.eye(3),
        fractional=points,
        numbers=numbers,
        orbits=np.arange(len(names), dtype=np.int32),
        labels=tuple(f"{s}{i}" for i, s in enumerate(names)),
    )


@given(
    st.lists(st.sampled_from([1, 6, 7, 8, 9, 27, 28, 30, 92]), min_size=1, max_size=20), st.integers(0, 99)
)
def test_swaps_go_to_a_partner(element: list[int], seed: int) -> None:
    numbers = np.array(element)
    drawn = random_swap(numbers, np.random.default_rng(seed))
    if drawn is None:
        assert not len(swappable(numbers))
        return
    site, new = drawn
    assert new in PARTNERS[element[site]]
    assert element[site] in PARTNERS[new]


def test_swaps_of_one_kind() -> None:
    generator = np.random.default_rng(0)
    assert random_swap(np.array([6, 7, 30]), generator, (29, 30)) == (2, 29)
    assert random_swap(np.array([6, 7]), generator, (29, 30)) is None
    assert len(PARTNERS) == len({s for pair in SWAPS for s in pair})


def test_likeness_is_symmetric_and_knows_groups() -> None:
    assert np.array_equal(SIMILARITY, SIMILARITY.transpose(1, 0, 2))
    assert SIMILARITY[40, 72].tolist() == [0, 0, 1, 0]
    assert SIMILARITY[6, 7].tolist() == [1, 0, 0, 0]
    assert SIMILARITY[57, 71, 2] == 1


BENZENE = [(1.39 * np.cos(a) + 5, 1.39 * np.sin(a) + 5, 5.0) for a in np.arange(6) * np.pi / 3]
OUTER = [(2.47 * np.cos(a) + 5, 2.47 * np.sin(a) + 5, 5.0) for a in np.arange(6) * np.pi / 3]


def test_benzene_has_no_sign_but_without_hydrogens_it_has() -> None:
    whole = molecule("C C C C C C H H H H H H", BENZENE + OUTER)
    assert find_problems(whole) == []
    (sign,) = find_problems(molecule("C C C C C C", BENZENE))
    assert sign.problem == "missing_hydrogen"
    assert sign.sites == (0, 1, 2, 3, 4, 5)
    (sign,) = find_problems(replace(whole, flags=frozenset({"missing_hydrogen"})))
    assert "formula" in sign.text


def test_atoms_too_close_and_oxygen_alone() -> None:
    made = molecule("C O H H O", [(1, 1, 1), (1, 1, 1.7), (5, 5, 5), (5, 5, 5.74), (8, 8, 8)])
    signs = {sign.problem: sign for sign in find_problems(made)}
    assert set(signs) == {"close_atoms", "lone_oxygen", "missing_hydrogen"} - (
        set() if "missing_hydrogen" in signs else {"missing_hydrogen"}
    )
    assert signs["close_atoms"].sites == (0, 1)
    assert "0.70 Å" in signs["close_atoms"].text
    assert signs["lone_oxygen"].sites == (4,)


def test_usual_tables_come_back_as_written(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    batch = {
        "element": np.full(100, 6, dtype=np.uint8),
        "distances": np.column_stack([generator.normal(1.4, 0.01, 100), np.full(100, 3.0)]).astype(
            np.float32
        ),
        "neighbour_elements": np.tile(np.array([7, 8], dtype=np.uint8), (100, 1)),
    }
    made = usual.tables_of([batch, {k: v[:0] for k, v in batch.items()}])
    assert set(made.distances) == {(6, 7)}
    assert made.distances[6, 7][2] == pytest.approx(1.4, abs=0.005)
    assert made.coordination[6][1] == 1.0
    usual.write(made, tmp_path / "usual.json")
    assert usual.load(tmp_path / "usual.json") == made


def test_shipped_tables_are_chemistry() -> None:
    held = usual.load()
    assert held.distances[6, 6][2] == pytest.approx(1.39, abs=0.02)
    assert held.distances[30, 8][2] == pytest.approx(1.97, abs=0.03)
    assert all(list(q) == sorted(q) for q in held.distances.values())


@given(st.lists(st.floats(-20, 20), min_size=100, max_size=400, unique=True))
def test_suspicion_is_monotone_and_rare(scores: list[float]) -> None:
    largest = np.array(scores)
    made = fit_reference(largest)
    grid = np.linspace(-30, 40, 200)
    suspicion = made.suspicion(grid)
    assert (np.diff(suspicion) >= 0).all()
    assert suspicion[0] == 0
    assert suspicion[-1] > 2
    assert np.mean(made.suspicion(largest) >= 1) <= 0.11


def test_one_correct_crystal_in_a_hundred_is_flagged() -> None:
    generator = np.random.default_rng(3)
    made = fit_reference(generator.normal(size=4000))
    assert np.mean(made.suspicion(generator.normal(size=40000)) >= 2) == pytest.approx(0.01, abs=0.004)


def test_weights_separate_what_can_be_separated() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(500, len(FEATURES)))
    wrong = features[:, 1] > 1
    weights = fit_weights(features, wrong)
    right = (features @ weights.values + weights.offset > 0) == wrong
    assert right.mean() > 0.98


def test_reference_classes() -> None:
    near, far = np.array([[1.4, 2.4]]), np.array([[2.0, 2.4]])
    neighbours = np.zeros((1, 2), dtype=int)
    assert reference_class(np.array([6]), near, neighbours) == "organic, without hydrogen"
    both = np.array([[1, 1], [0, 0]])
    assert reference_class(np.array([6, 1]), np.tile(near, (2, 1)), both) == "organic"
    assert reference_class(np.array([6, 30]), np.tile(near, (2, 1)), np.zeros((2, 2), int)).startswith(
        "with carbon"
    )
    assert reference_class(np.array([6]), far, neighbours) == "inorganic"


def test_calibration_is_bound_to_its_model(tmp_path: Path) -> None:
    model, network = load_model(MODEL, threads=1), Plausibility(threads=1)
    held = load_calibration(model, network)
    file = tmp_path / "check.json"
    reference.write(held, file)
    again = load_calibration(model, network, file)
    assert set(again.weights) == {"inorganic", "with carbon"}
    for sort, weights in again.weights.items():
        assert np.array_equal(weights.values, held.weights[sort].values)
    assert again.references == held.references
    reference.write(replace(held, fingerprint="0"), tmp_path / "other.json")
    with pytest.raises(ModelError, match="another model"):
        load_calibration(model, network, tmp_path / "other.json")
    reference.write(replace(held, network="0"), tmp_path / "another.json")
    with pytest.raises(ModelError, match="another plausibility network"):
        load_calibration(model, network, tmp_path / "another.json")
    with pytest.raises(ModelError, match="does not exist"):
        load_calibration(model, network, tmp_path / "none.json")


def test_the_work_on_a_crystal_is_watched_and_ended() -> None:
    crystal = next(atomsight.read(EXAMPLES / "ibuprofen-wrong-element.cif"))
    steps: list[Progress] = []
    expected = next(atomsight.check(crystal)).as_dict()
    assert next(atomsight.check(crystal, progress=steps.append)).as_dict() == expected
    assert (steps[-1].done, steps[-1].skipped) == (1, 0)
    shares = [step.part for step in steps[:-1]]
    assert {step.done for step in steps[:-1]} == {0}
    assert len(shares) > 2
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(atomsight.check(crystal, progress=stop))
    with pytest.raises(KeyboardInterrupt):  # after the crystal, where another process works on it
        next(atomsight.check(crystal, executor=1, progress=stop))


def test_versions_of_a_structure_are_judged_as_each_by_itself() -> None:
    network = Plausibility(threads=1)
    crystal = next(atomsight.read(EXAMPLES / "ibuprofen-wrong-element.cif"))
    distances, neighbours, ways = site_surroundings(crystal, network.k + 2)
    near, around = distances.astype(np.float32), neighbours.astype(np.int64)
    share = crystal.multiplicities / crystal.n_atoms
    as_is = crystal.site_numbers.astype(np.int64)
    mended = as_is.copy()
    mended[6] = 6
    found = network.assignment_logits(near, around, [as_is, mended], share, ways)
    for elements, expected in zip((as_is, mended), found, strict=True):
        k, begins = network.k, np.array([0])
        logits = network.site_logits(near[:, :k], around[:, :k], elements, begins, ways[:, :k])
        assert crystal_logits(logits, share, [len(share)])[0] == pytest.approx(expected, abs=1e-4)
    assert found[1] > found[0]
    with pytest.raises(ModelError, match="directions"):
        network.assignment_logits(near, around, [as_is], share)


def test_a_change_that_makes_the_crystal_plausible_counts(tmp_path: Path) -> None:
    model, network = load_model(MODEL, threads=1), Plausibility(threads=1)
    crystal = next(atomsight.read(EXAMPLES / "ibuprofen-wrong-element.cif"))
    distances, neighbours, directions = site_surroundings(crystal, model.k)
    weights = load_calibration(model, network).weights["with carbon"]
    columns = {
        "distances": distances,
        "neighbours": neighbours,
        "directions": directions,
        "element": crystal.site_numbers,
        "multiplicity": crystal.multiplicities,
    }
    given = CheckInput.of(model, columns)
    without = score_sites(model, given, weights)
    found = score_sites(model, given, weights, network)
    place = FEATURES.index("plausible")
    assert not without.features[:, place].any()
    assert np.array_equal(found.features[:, place] != 0, found.tried)
    assert found.features[6, place] > 0
    gained = weights.values[place] * found.features[:, place]
    np.testing.assert_allclose(found.score - without.score, gained, atol=1e-9)


def test_struck_hydrogens_take_their_directions_along() -> None:
    crystal = {
        "element": np.array([6, 1, 8]),
        "distances": np.array([[1.0, 1.2, 3.0], [1.0, 2.0, 3.0], [1.2, 2.0, 3.0]], np.float32),
        "neighbours": np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]]),
        "directions": np.arange(27, dtype=np.int8).reshape(3, 9),
    }
    bare = without_hydrogen(crystal)
    assert bare["element"].tolist() == [6, 8]
    assert bare["distances"][0].tolist() == pytest.approx([1.2, 3.0, 3.0])
    assert bare["neighbours"].tolist() == [[1, 0, 0], [0, 1, 1]]
    assert bare["directions"][0].tolist() == [[3, 4, 5], [6, 7, 8], [6, 7, 8]]
    assert bare["directions"][1].tolist() == [[18, 19, 20], [24, 25, 26], [24, 25, 26]]
