"""Known crystals of the same structure type beside a network."""

from __future__ import annotations

import sys
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError, MissingExtraError, ModelError
from atomsight.dataset import Dataset, build, open_dataset
from atomsight.models import load_model
from atomsight.models.isotypes.bank import (
    COMPARED,
    KNOWN,
    MOST_ORDERED,
    MOST_SITES,
    Isotypes,
    chemistry,
    company,
    orders_of,
    scaled,
)
from atomsight.models.isotypes.match import WAYS, may_match, pairings
from atomsight.models.isotypes.types import Scales
from atomsight.training.model_file import add_metadata, write_model
from workshop import isotypes as learn

ROWS = arrays(np.float32, (4, 3), elements=st.floats(-1, 1, width=32))
METALS = {z: 14 + 2.5 * place for place, z in enumerate((21, 71, 69, 67, 65, 64, 62, 60, 59, 57, 39))}
ANIONS = {7: 18.0, 15: 27.0, 33: 30.0, 51: 34.0, 83: 37.0}
"""Å3 of an atom of each element in the made-up rock salts below."""


def salt(metal: int, anion: int, strain: float = 0.0) -> Crystal:
    """Rock salt of the volume of its atoms."""
    corner = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    edge = (4 * (METALS[metal] + ANIONS[anion])) ** (1 / 3) * (1 + strain)
    return Crystal(
        name=f"salt-{metal}-{anion}",
        lattice=np.eye(3) * edge,
        fractional=np.vstack([corner, (corner + 0.5) % 1]),
        numbers=np.repeat([metal, anion], 4).astype(np.uint8),
        orbits=np.repeat([0, 1], 4).astype(np.int32),
        labels=("A", "B"),
        source=f"made/{metal}-{anion}",
    )


SALTS = [(m, a) for m, a in product(METALS, ANIONS) if (m, a) != (57, 15)]


@pytest.fixture(scope="module")
def salts(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("isotypes") / "dataset"
    build((salt(*pair) for pair in SALTS), out, 16)
    return open_dataset(out)


@pytest.fixture(scope="module")
def bank(salts: Dataset) -> Isotypes:
    return learn.isotypes(salts)


def distances(crystal: Crystal) -> np.ndarray:
    from atomsight.geometry.neighbours import site_neighbours

    return np.asarray(site_neighbours(crystal, 16)[0], np.float32)


def opinion_of(rows: int, sure: dict[int, int] | None = None) -> np.ndarray:
    """No opinion, but of some sites."""
    opinion = np.full((rows, KNOWN), 1 / KNOWN)
    for site, z in (sure or {}).items():
        opinion[site] = 0.0
        opinion[site, z] = 1.0
    return opinion


def ways_of(
    one: np.ndarray, other: np.ndarray, most: float = 5.0, alike: float = 1.0, every: bool = True
) -> dict[tuple[int, ...], float]:
    """What each way to pair the sites counts."""
    n = len(one)
    places, near = np.zeros((WAYS, n), np.int64), np.zeros(WAYS)
    orders = orders_of(n) if every else np.empty((0, n), np.int64)
    count = pairings(
        np.ascontiguousarray(one), np.ascontiguousarray(other), most, alike, orders, places, near
    )
    return {tuple(place): counts for place, counts in zip(places[:count].tolist(), near, strict=False)}


@given(ROWS, ROWS, st.permutations(range(4)))
@settings(max_examples=60, deadline=None)
def test_ways_to_pair_sites_follow_the_order_of_the_sites(
    one: np.ndarray, other: np.ndarray, order: list[int]
) -> None:
    expected = {tuple(place[site] for site in order): counts for place, counts in ways_of(one, other).items()}
    found = ways_of(one[order], other)
    assert set(found) == set(expected)
    for place, counts in found.items():
        assert counts == pytest.approx(expected[place], rel=1e-4)


@given(ROWS, ROWS, st.floats(0.01, 2))
@settings(max_examples=100, deadline=None)
def test_nothing_that_matches_is_passed_over(one: np.ndarray, other: np.ndarray, most: float) -> None:
    apart = np.sqrt(((one[:, None].astype(float) - other) ** 2).mean(axis=2))
    best = min(apart[range(4), order].mean() for order in permutations(range(4)))
    ways = ways_of(one, other, most)
    if abs(best - most) > 1e-5:
        assert bool(ways) == (best <= most)
    if ways:
        means = [np.sort(rows.mean(axis=1)) for rows in (one, other)]
        assert may_match(means[0], means[1][None], most).all()
        assert all(sorted(place) == [0, 1, 2, 3] for place in ways)
        assert sum(ways.values()) == pytest.approx(np.exp(-(best**2)), rel=1e-4)


@pytest.mark.parametrize("every", [True, False])
def test_sites_are_paired_by_what_is_most_alike(every: bool) -> None:
    one = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.1]], np.float32)
    assert ways_of(one, one[[2, 0, 1]], alike=0.01, every=every) == {(1, 2, 0): 1.0}
    assert ways_of(one, one + 9, every=every) == {}


@pytest.mark.parametrize("every", [True, False])
def test_sites_that_are_alike_are_paired_both_ways(every: bool) -> None:
    one = np.array([[0.5, 0.5], [2.0, 2.1], [0.5, 0.5]], np.float32)
    assert ways_of(one, one, alike=0.01, every=every) == pytest.approx({(0, 1, 2): 0.5, (2, 1, 0): 0.5})


def test_what_is_scaled_does_not_tell_the_size() -> None:
    small, large = (scaled(distances(salt(21, 7, strain))) for strain in (0.0, 0.1))
    np.testing.assert_allclose(small.rows, large.rows, atol=1e-6)
    assert large.length - small.length == pytest.approx(np.log(1.1), abs=1e-6)
    assert small.rows.shape == (2, COMPARED)


def test_the_company_of_a_site_is_what_is_beside_its_element() -> None:
    assert [chemistry(kinds) for kinds in ({26, 8}, {8, 9}, {26}, {35}, {52}, {7})] == [1, 0, 5, 3, 4, 2]
    assert company(np.array([[26, 8, 8], [26, 26, 28]], np.uint8)).tolist() == [[1, 5, 5], [5, 5, 5]]


def slow_weights(bank: Isotypes, rows: np.ndarray, opinion: np.ndarray) -> np.ndarray:
    """What `Isotypes.weights` gives, hypothesis by hypothesis."""
    own, scales = scaled(rows), bank.scales
    n = len(rows)
    weight = np.zeros((n, KNOWN))
    first = np.concatenate([[0], np.cumsum(bank.sites, dtype=np.int64)])
    for c in np.flatnonzero(bank.sites == n):
        part = slice(first[c], first[c + 1])
        theirs = bank.rows[part].astype(np.float32)
        ways = ways_of(own.rows, theirs, scales.most, scales.alike, every=n <= MOST_ORDERED)
        for place, near in ways.items():
            elements, shares = bank.elements[part][[*place]].astype(int), bank.shares[part][[*place]]
            kinds = sorted(set(elements.tolist()))
            longer = own.length - bank.lengths[c]
            told = [(elements, scales.same * near / (1 + (longer / scales.spread) ** 2) ** 2)]
            for old in kinds:
                beside = chemistry(set(kinds) - {old})
                for new in np.flatnonzero(bank.stands[beside, old]):
                    change = bank.size[beside, new] - bank.size[beside, old]
                    change *= shares[elements == old].sum() / 3 / bank.volumes[c]
                    step = (longer - change) / scales.spread
                    likely = near * bank.stands[beside, old, new] / (1 + step**2) ** 2 / len(kinds)
                    told.append((np.where(elements == old, new, elements), likely))
            log = scales.heed * np.log(opinion + scales.least)
            for said, likely in told:
                # the mean over the sites that the isotype gives one element, of each of the other elements
                belief = {kind: log[elements == kind, said[elements == kind]].mean() for kind in kinds}
                for i in range(n):
                    rest = sum(value for kind, value in belief.items() if kind != elements[i])
                    weight[i, said[i]] += likely * np.exp(rest)
    return weight


@pytest.mark.parametrize("strain", [0.0, 0.003, 0.02])
def test_the_kernel_says_what_every_hypothesis_says_one_by_one(bank: Isotypes, strain: float) -> None:
    rows = distances(salt(57, 33, strain))
    opinion = np.random.default_rng(0).dirichlet(np.ones(KNOWN), 2)
    found = bank.weights(rows, opinion)
    assert found is not None
    np.testing.assert_allclose(found, slow_weights(bank, rows, opinion), rtol=1e-3, atol=1e-9)


def made_up(sites: int, crystals: list[list[int]], tied: bool = False) -> Isotypes:
    """Isotypes of one another, of given elements; all sites are alike if tied."""
    generator = np.random.default_rng(sites)
    base = generator.normal(0, 0.0 if tied else 0.2, (sites, COMPARED))
    rows = [base + generator.normal(0, 0.002, base.shape) for _ in crystals]
    stands = generator.uniform(size=(6, KNOWN, KNOWN)) * (generator.uniform(size=(6, KNOWN, KNOWN)) < 0.3)
    shares = [generator.dirichlet(np.ones(sites)) for _ in crystals]
    return Isotypes(
        np.full(len(crystals), sites, np.uint8),
        np.concatenate(rows).astype(np.float16),
        np.concatenate(crystals).astype(np.uint8),
        np.concatenate(shares).astype(np.float32),
        generator.normal(1.0, 0.003, len(crystals)).astype(np.float32),
        generator.uniform(12, 20, len(crystals)).astype(np.float32),
        (stands / stands.sum(axis=2, keepdims=True)).astype(np.float32),
        generator.uniform(5, 9, (6, KNOWN)).astype(np.float32),
    )


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    "crystals", [[[8, 22, 56], [8, 38, 40]], [[8, 8, 8, 22, 22, 56], [8, 8, 8, 9, 40, 50]]]
)
def test_the_kernel_knows_crystals_of_several_elements(crystals: list[list[int]], tied: bool) -> None:
    bank = made_up(len(crystals[0]), crystals, tied)
    # ascending in what is thought of the sites, as the isotypes are, so that the oracle need not put in order
    opinion = np.sort(np.random.default_rng(3).dirichlet(np.ones(KNOWN), len(crystals[0])), axis=0)
    opinion /= opinion.sum(axis=1, keepdims=True)
    opinion = opinion[np.argsort(opinion @ np.arange(KNOWN))]
    rows = np.exp(1.0 + bank.rows[: len(crystals[0])].astype(np.float32))
    found = bank.weights(rows, opinion)
    assert found is not None
    np.testing.assert_allclose(found, slow_weights(bank, rows, opinion), rtol=2e-3, atol=1e-9)


def test_many_sites_that_are_alike_follow_no_order(bank: Isotypes) -> None:
    crystals = [[8, 8, 8, 22, 22, 56], [8, 8, 9, 40, 40, 50]]
    tied = made_up(6, crystals, tied=True)
    rows = np.exp(1.0 + np.zeros((6, COMPARED), np.float32))
    opinion = np.random.default_rng(4).dirichlet(np.full(KNOWN, 0.05), 6)
    found = tied.weights(rows, opinion)
    order = np.array([3, 0, 5, 1, 4, 2])
    turned = tied.weights(rows[order], opinion[order])
    assert found is not None
    assert turned is not None
    np.testing.assert_allclose(turned, found[order])
    assert (np.diff(bank.elements.reshape(-1, 2).astype(int), axis=1) > 0).all()  # as they are learnt


def test_an_element_that_the_crystal_holds_is_no_exchange() -> None:
    bank = made_up(3, [[8, 22, 56], [8, 22, 22], [8, 22, 38]])
    pairs = learn.exchanges(bank)
    assert sorted(zip(pairs["old"].tolist(), pairs["new"].tolist(), strict=True)) == [(38, 56), (56, 38)]


def test_an_element_between_two_others_is_named_by_its_length(bank: Isotypes) -> None:
    # LaP is in no dataset; LaN, LaAs and the phosphides of the others are
    assert (57, 15) not in SALTS
    rows = distances(salt(57, 15))
    for metal in (0, 1):  # both sites see the same distances: either may be the metal
        weight = bank.weights(rows, opinion_of(2, {1 - metal: 15}))
        assert weight is not None
        assert weight[metal].argmax() == 57
    unseen = bank.weights(rows * 1.2, opinion_of(2))
    assert unseen is not None
    assert unseen.sum() < weight.sum() / 100  # no exchange explains such a length


def test_volumes_of_elements_are_found_from_differences() -> None:
    generator = np.random.default_rng(1)
    true = generator.uniform(5, 30, KNOWN)
    old, new = generator.integers(1, 20, (2, 400))
    share, volume = generator.uniform(0.2, 0.8, 400), generator.uniform(12, 20, 400)
    pairs = {"old": old, "new": new, "beside": np.zeros(400, np.int64), "share": share, "volume": volume}
    pairs["other"] = volume + share * (true[new] - true[old])
    pairs["other"][:5] *= 1.5  # a few that are no exchange at all
    found = learn.element_volumes(pairs)[0]
    np.testing.assert_allclose(np.diff(found[1:20]), np.diff(true[1:20]), atol=0.3)


def test_exchanges_are_of_one_element_and_count_towards_what_stands_for_what(bank: Isotypes) -> None:
    pairs = learn.exchanges(bank)
    assert set(zip(pairs["old"].tolist(), pairs["new"].tolist(), strict=True)) >= {(21, 39), (7, 15)}
    assert not {(a, b) for a in METALS for b in ANIONS} & set(
        zip(pairs["old"].tolist(), pairs["new"].tolist(), strict=True)
    )
    rows = bank.stands.sum(axis=2)
    assert rows[:, 21] == pytest.approx(1, abs=1e-5)
    assert rows[:, 1] == pytest.approx(0)


def test_pooled_answers_are_probabilities_and_follow_the_order_of_the_sites(bank: Isotypes) -> None:
    elements = (6, 7, 15, 21, 33, 39, 57, 64, 71)
    rows = distances(salt(57, 15))
    network = np.random.default_rng(2).dirichlet(np.ones(9), 2).astype(np.float32)
    network[:, 0] = 0.01
    network /= network.sum(axis=1, keepdims=True)
    answer = bank.pooled(network, rows, np.arange(2), elements)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-6)
    assert not np.allclose(answer, network, atol=1e-3)
    turned = bank.pooled(network[::-1].copy(), rows[::-1], np.arange(2), elements)
    np.testing.assert_allclose(turned[::-1], answer, atol=1e-5)
    both = bank.pooled(np.tile(network, (2, 1)), np.tile(rows, (2, 1)), np.tile(np.arange(2), 2), elements)
    np.testing.assert_allclose(both, np.tile(answer, (2, 1)), atol=1e-6)


def test_crystals_with_carbon_or_of_many_sites_or_unlike_all_are_left_to_the_network(bank: Isotypes) -> None:
    elements = (6, 7, 15, 21)
    rows = distances(salt(57, 15))
    organic = np.array([[0.9, 0.05, 0.03, 0.02], [0.2, 0.3, 0.3, 0.2]], np.float32)
    assert bank.pooled(organic, rows, np.arange(2), elements) is organic
    many = np.full((MOST_SITES + 1, 4), 0.25, np.float32)
    wide = np.tile(rows[:1], (MOST_SITES + 1, 1))
    assert bank.pooled(many, wide, np.arange(MOST_SITES + 1), elements) is many
    strange = np.tile(np.linspace(1, 9, 16, dtype=np.float32), (2, 1))
    plain = np.full((2, 4), 0.25, np.float32)
    assert bank.pooled(plain, strange, np.arange(2), elements) is plain
    assert bank.given(plain, np.array([0]), rows, np.array([6, 21]), elements) is plain


def test_what_is_said_of_a_hidden_site_does_not_hang_on_its_own_element(bank: Isotypes) -> None:
    elements = (7, 15, 21, 33, 39, 57, 64, 71)
    rows = distances(salt(57, 15))
    network = np.full((1, 8), 0.125, np.float32)
    hidden = np.array([0])
    answers = [bank.given(network, hidden, rows, np.array([z, 15]), elements) for z in (57, 21, 7)]
    np.testing.assert_allclose(answers[0], answers[1])
    np.testing.assert_allclose(answers[0], answers[2])
    assert elements[int(answers[0].argmax())] == 57
    other = bank.given(network, hidden, rows, np.array([57, 33]), elements)
    assert not np.allclose(other, answers[0], atol=1e-3)


def test_isotypes_survive_as_text_and_damage_is_told(bank: Isotypes) -> None:
    again = Isotypes.from_text(bank.text(), "here")
    assert again.scales == bank.scales == Scales()
    for name in ("sites", "rows", "elements", "shares", "lengths", "volumes", "stands", "size"):
        np.testing.assert_array_equal(getattr(again, name), getattr(bank, name))
    for text in ("", bank.text()[:200], "no base 85 \N{SNOWMAN}"):
        with pytest.raises(ModelError, match="isotypes in here are damaged"):
            Isotypes.from_text(text, "here")


def write_untrained(file: Path, k: int, elements: str, **metadata: object) -> Path:
    """A masked-site model with random weights."""
    torch = pytest.importorskip("torch")
    from atomsight.training.masked_site.graph import masked_site_graph
    from atomsight.training.masked_site.network import MaskedSiteNetwork

    torch.manual_seed(0)
    network = MaskedSiteNetwork(k, len(elements.split(",")))
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    identity = {"kind": "masked-site", "k": k, "elements": elements, "temperature": 1.0}
    write_model(masked_site_graph(weights, k, 1.0), {**identity, **metadata}, file)
    return file


@pytest.fixture
def network(salts: Dataset, tmp_path: Path) -> Path:
    """A masked-site model that learnt nothing, but says that it is of the dataset."""
    elements = ",".join(SYMBOLS[z] for z in sorted({*METALS, *ANIONS}))
    return write_untrained(tmp_path / "network.onnx", 16, elements, data={"fingerprint": salts.fingerprint})


def test_a_model_with_isotypes_is_another_and_names_by_them(
    network: Path,
    salts: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["learn", str(network), str(salts.path), str(tmp_path / "run")])
    learn.main()
    assert "accuracy" in capsys.readouterr().out
    alone, beside = load_model(network), load_model(tmp_path / "run")
    assert alone.fingerprint != beside.fingerprint
    learnt = salts.crystals(["split"]).column("split").to_pylist().count("train")
    assert beside.metadata["isotypes_beside"]["crystals"] == learnt < len(SALTS)
    assert len(beside.metadata["isotypes"]) == 64
    assert beside.set_rule is not None
    unknown = salt(57, 15)
    blind = next(iter(beside.predict(unknown))).probabilities
    np.testing.assert_allclose(blind.sum(axis=1), 1, atol=1e-5)
    assert not np.allclose(blind, next(iter(alone.predict(unknown))).probabilities, atol=1e-3)
    given_others = beside.site_likelihoods(unknown)
    assert beside.elements[int(given_others[0].argmax())] == 57
    with pytest.raises(InputError, match="holds a model"):
        learn.add_isotypes(network, salts, tmp_path / "run")


def test_what_cannot_stand_beside_isotypes_is_refused(salts: Dataset, network: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two-stage model"):
        learn.add_isotypes("two-stage", salts, tmp_path / "run")
    with pytest.raises(InputError, match="trained on the dataset of fingerprint"):
        learn.add_isotypes("masked-site-angles-2", salts, tmp_path / "run")
    write_untrained(tmp_path / "short.onnx", 4, "N,P")
    with pytest.raises(InputError, match="looks at 4 neighbours"):
        learn.add_isotypes(tmp_path / "short.onnx", salts, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_dataset_without_sites_to_judge_by_is_told(network: Path, salts: Dataset, tmp_path: Path) -> None:
    table = salts.crystals(["source", "split"]).to_pydict()
    source = table["source"][table["split"].index("train")]
    metal, anion = map(int, source.removeprefix("made/").split("-"))
    build([salt(metal, anion)], tmp_path / "one", 16)
    one = open_dataset(tmp_path / "one")
    add_metadata(network, tmp_path / "own.onnx", {"data": {"fingerprint": one.fingerprint}})
    with pytest.raises(InputError, match="holds no val site"):
        learn.add_isotypes(tmp_path / "own.onnx", one, tmp_path / "run")


def test_what_is_not_installed_is_told_at_once(
    network: Path, salts: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr(learn, "unseen_answers", lambda *_: pytest.fail("answered for nothing"))
    with pytest.raises(MissingExtraError, match="train"):
        learn.add_isotypes(network, salts, tmp_path / "run")
