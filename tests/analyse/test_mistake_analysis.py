from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from atomsight.analyse.evaluation import read_mistakes
from atomsight.analyse.mistake_tables import distinctive_traits, write_mistakes
from atomsight.analyse.mistakes import MistakeAnalysis, analyse_mistakes
from atomsight.analyse.mistakes_duplicates import read_near_duplicates
from atomsight.analyse.mistakes_traits import coordination, shell_codes, shell_text
from atomsight.analyse.profiles import STEP, distance_profiles
from atomsight.analyse.site import open_site, site_rows
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import DatasetError, InputError
from atomsight.dataset import Dataset

HEADER = "crystal,site,label,true,predicted,probability,probability_true,rank"
K = 5


def rows_of(dataset: Dataset, split: str = "test") -> dict[str, np.ndarray]:
    columns = ["crystal", "site", "label", "element", "distances", "neighbour_elements"]
    batches = list(dataset.batches(columns, split=split))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in columns}


def write_evaluation(folder: Path, dataset: Dataset, mistakes: list[tuple[int, str]]) -> Path:
    """An evaluation on the test split with these mistakes: row of the split, predicted symbol."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows_of(dataset)
    lines = [HEADER]
    for n, (i, predicted) in enumerate(mistakes):
        true = SYMBOLS[rows["element"][i]]
        place = f"{rows['crystal'][i]},{rows['site'][i]},{rows['label'][i]}"
        lines.append(f"{place},{true},{predicted},{0.99 - 0.001 * n:.6f},0.100000,1")
    (folder / "mistakes.csv").write_text("\n".join(lines) + "\n")
    summary = {"model": "made", "split": "test", "k": K, "dataset": str(dataset.path)}
    text = json.dumps({**summary, "dataset_fingerprint": dataset.fingerprint})
    (folder / "summary.json").write_text(text)
    return folder


@pytest.fixture(scope="module")
def chosen(mixed: Dataset) -> list[tuple[int, str]]:
    """Every carbon whose nearest neighbour is a hydrogen is taken for N, every second oxygen for C."""
    rows = rows_of(mixed)
    hydrogen = (rows["element"] == 6) & (rows["neighbour_elements"][:, 0] == 1)
    oxygen = np.flatnonzero(rows["element"] == 8)[::2]
    return [*((int(i), "N") for i in np.flatnonzero(hydrogen)), *((int(i), "C") for i in oxygen)]


@pytest.fixture(scope="module")
def analysis(
    mixed: Dataset, chosen: list[tuple[int, str]], tmp_path_factory: pytest.TempPathFactory
) -> MistakeAnalysis:
    folder = write_evaluation(tmp_path_factory.mktemp("evaluation") / "e", mixed, chosen)
    return analyse_mistakes(read_mistakes(folder, mixed), mixed)


def test_coordination_is_the_widest_relative_gap() -> None:
    salt = [2.82] * 6 + [3.99] * 12 + [4.88] * 6
    aromatic = [0.95, 1.39, 1.39, 2.10, 2.15, 2.4, 2.4, 2.7]
    assert coordination(np.array([salt])).tolist() == [6]
    assert coordination(np.array([aromatic])).tolist() == [3]
    assert coordination(np.array([[1.5]])).tolist() == [1]
    assert coordination(np.array([[0.0, 1.0, 1.1]])).tolist() == [1]


def test_a_shell_is_told_by_its_elements_whatever_their_order() -> None:
    around = np.array([[6, 1, 6, 8], [1, 6, 6, 7], [6, 1, 6, 8]], dtype=np.uint8)
    codes = shell_codes(around, np.array([3, 3, 4]))
    assert codes[0] == codes[1] != codes[2]
    assert shell_text(around[0], 3) == "C2H"
    assert shell_text(around[2], 4) == "C2HO"


def test_pairs_are_counted_with_crystals_and_groups(
    analysis: MistakeAnalysis, mixed: Dataset, chosen: list[tuple[int, str]]
) -> None:
    rows = rows_of(mixed)
    group = dict(zip(*mixed.crystals(["crystal", "group"]).to_pydict().values(), strict=True))
    for pair in analysis.pairs:
        here = [
            i for i, symbol in chosen if (rows["element"][i], symbol) == (pair.true, SYMBOLS[pair.predicted])
        ]
        crystals = {rows["crystal"][i] for i in here}
        assert (pair.sites, pair.crystals) == (len(here), len(crystals))
        assert pair.groups == len({group[c] for c in crystals})
        assert pair.share_of_true == pytest.approx(len(here) / (rows["element"] == pair.true).sum())
        several = [i for i in here if len({c for c in crystals if group[c] == group[rows["crystal"][i]]}) > 1]
        assert pair.repeated == pytest.approx(len(several) / len(here))
    assert [pair.sites for pair in analysis.pairs] == sorted((p.sites for p in analysis.pairs), reverse=True)


def test_the_trait_that_makes_the_mistake_comes_first(analysis: MistakeAnalysis) -> None:
    carbon = next(pair for pair in analysis.pairs if pair.true == 6)
    first = distinctive_traits(analysis, carbon)[0]
    assert (first.trait, first.value) == ("nearest neighbour", "H")
    assert (first.share, first.share_right, first.sites) == (1.0, 0.0, carbon.sites)
    assert first.ratio is None


def test_shares_of_the_right_sites_are_those_of_the_table(
    analysis: MistakeAnalysis, mixed: Dataset, chosen: list[tuple[int, str]]
) -> None:
    rows = rows_of(mixed)
    right = rows["element"] == 8
    right[[i for i, symbol in chosen if symbol == "C"]] = False
    nearest, counts = rows["neighbour_elements"][right, 0], coordination(rows["distances"][right])
    flags = dict(zip(*mixed.crystals(["crystal", "flags"]).to_pydict().values(), strict=True))
    bare = np.array(["has_hydrogen" not in flags[c] for c in rows["crystal"][right]])
    for t in analysis.traits:
        if t.true != 8:
            continue
        if t.trait == "nearest neighbour":
            assert t.share_right == pytest.approx((nearest == SYMBOLS.index(t.value)).mean())
        elif t.trait == "coordination":
            assert t.share_right == pytest.approx((counts == int(t.value)).mean())
        elif t.trait == "neighbours":
            places = np.flatnonzero(right)
            shells = [
                shell_text(rows["neighbour_elements"][i], n) for i, n in zip(places, counts, strict=True)
            ]
            assert t.share_right == pytest.approx(np.mean([shell == t.value for shell in shells]))
        elif t.trait == "hydrogen":
            assert t.share_right == pytest.approx(bare.mean())
    assert {t.trait for t in analysis.traits} >= {
        "nearest neighbour",
        "neighbours",
        "coordination",
        "hydrogen",
    }


def test_deviation_is_from_the_medians_of_the_train_split(
    analysis: MistakeAnalysis, mixed: Dataset, chosen: list[tuple[int, str]]
) -> None:
    learnt, rows = rows_of(mixed, "train"), rows_of(mixed)
    medians = {z: np.median(learnt["distances"][learnt["element"] == z, :K], axis=0) for z in (6, 7, 8)}
    for n, (i, symbol) in enumerate(chosen[:20]):
        for name, z in (("true", rows["element"][i]), ("predicted", SYMBOLS.index(symbol))):
            expected = np.abs(rows["distances"][i, :K] - medians[int(z)]).mean()
            assert analysis.columns[f"deviation_{name}"][n] == pytest.approx(expected, abs=0.03)


def test_without_a_right_site_no_trait_is_called_telling(mixed: Dataset, tmp_path: Path) -> None:
    zinc = np.flatnonzero(rows_of(mixed)["element"] == 30)
    folder = write_evaluation(tmp_path / "zinc", mixed, [(int(i), "O") for i in zinc])
    analysis = analyse_mistakes(read_mistakes(folder, mixed), mixed)
    assert analysis.pairs[0].share_of_true == 1
    assert {t.share_right for t in analysis.traits} == {None}
    assert distinctive_traits(analysis, analysis.pairs[0]) == []


def test_an_element_that_the_train_split_lacks_has_no_deviation(mixed: Dataset, tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "gold", mixed, [(0, "Au"), (1, "Au")])
    analysis = analyse_mistakes(read_mistakes(folder, mixed), mixed)
    assert {pair.deviation_predicted for pair in analysis.pairs} == {None}
    assert {pair.closer_to_predicted for pair in analysis.pairs} == {None}
    assert all(pair.deviation_true is not None for pair in analysis.pairs)
    write_mistakes(analysis, analysis.pairs, tmp_path)
    assert "nan" not in (tmp_path / "sites.csv").read_text()
    site = open_site(mixed, f"{analysis.table.crystal[0]}:#{analysis.table.site[0]}")
    rows = site_rows(site, analysis.profiles, 79)
    assert {row["nearer_predicted"] for row in rows} == {None}


def test_profiles_agree_with_numpy(mixed: Dataset) -> None:
    profiles = distance_profiles(mixed, (6, 1), K, split="train")
    rows = rows_of(mixed, "train")
    d = rows["distances"][rows["element"] == 1, :K]
    for share in (0.1, 0.5, 0.9):
        expected = np.quantile(d, share, axis=0, method="inverted_cdf")
        assert profiles.quantile(1, share) == pytest.approx(expected, abs=STEP)
    at = np.median(d, axis=0)
    assert profiles.share_below(1, at) == pytest.approx((d < at).mean(axis=0), abs=0.03)
    assert profiles.share_below(1, np.full(K, 99.0)).tolist() == [1] * K
    assert profiles.share_below(1, np.zeros(K)).tolist() == [0] * K
    with pytest.raises(InputError, match="k = 9"):
        distance_profiles(mixed, (6,), 9)


def test_tables_hold_every_mistake(
    analysis: MistakeAnalysis, chosen: list[tuple[int, str]], tmp_path: Path
) -> None:
    write_mistakes(analysis, analysis.pairs, tmp_path)
    with (tmp_path / "sites.csv").open() as file:
        sites = list(csv.DictReader(file))
    assert len(sites) == len(chosen)
    assert sites[0]["probability"] == "0.99"
    write_mistakes(analysis, analysis.pairs[:1], tmp_path)
    with (tmp_path / "sites.csv").open() as file:
        assert len(list(csv.DictReader(file))) == analysis.pairs[0].sites


def test_a_site_is_opened_by_label_or_index(known: Dataset) -> None:
    site = open_site(known, "salt:M1")
    assert (site.element, site.multiplicity, site.formula, site.source) == (
        11,
        4,
        "ClNa",
        "salts.tar::salt.cif",
    )
    assert site.distances[:6] == pytest.approx([2.82] * 6)
    assert site.neighbour_elements.tolist() == [17] * 6 + [11] * 2
    assert open_site(known, "ethyne:#2").label == "C2"
    split = open_site(known, "ethyne:H1").split
    profiles = distance_profiles(known, (6,), 2, split=split)
    rows = site_rows(open_site(known, "ethyne:C1"), profiles, 6)
    assert [(row["neighbour"], row["distance"]) for row in rows] == [("H", 1.0), ("C", 1.5)]
    assert 0 <= rows[0]["nearer_true"] <= 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("salt", "CRYSTAL:LABEL"),
        ("salt:", "CRYSTAL:LABEL"),
        ("sal:M1", "no crystal 'sal'; there are salt"),
        ("quartz:Si1", "no crystal 'quartz'$"),
        ("salt:Q9", r"no site 'Q9'; it holds M1 \(#0\), X1 \(#1\)"),
    ],
)
def test_a_site_that_is_not_there(known: Dataset, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_site(known, name)


def test_an_evaluation_of_another_dataset_is_refused(mixed: Dataset, known: Dataset, tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "e", mixed, [(0, "N")])
    with pytest.raises(InputError, match="another dataset"):
        read_mistakes(folder, known)
    (folder / "mistakes.csv").write_text("crystal,site\nsalt,many\n")
    with pytest.raises(DatasetError, match="evaluate again"):
        read_mistakes(folder, mixed)
    with pytest.raises(InputError, match=r"holds no summary\.json"):
        read_mistakes(tmp_path, mixed)


def test_near_duplicates_become_a_trait(analysis: MistakeAnalysis, mixed: Dataset, tmp_path: Path) -> None:
    one, other = str(analysis.table.crystal[0]), "random-0000"
    table = tmp_path / "duplicates.csv"
    table.write_text(f"first,second,relation\n{one},{other},different elements\n")
    near = read_near_duplicates(table)
    assert near == {one: {"different elements"}, other: {"different elements"}}
    found = [t for t in analyse_mistakes(analysis.table, mixed, near).traits if t.trait == "near duplicate"]
    assert {t.value for t in found} == {"different elements"}
    assert sum(t.sites for t in found) == sum(analysis.table.crystal == one) + sum(
        analysis.table.crystal == other
    )
    table.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="dedupe"):
        read_near_duplicates(table)
    with pytest.raises(InputError, match="dedupe"):
        read_near_duplicates(tmp_path / "absent.csv")
