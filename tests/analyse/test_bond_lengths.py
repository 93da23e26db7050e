from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from atomsight.analyse.bond_lengths import EVERY, LOW, NEAREST, STEP, study_bonds
from atomsight.analyse.bond_summary import pair_rows, summarise_bonds
from atomsight.analyse.distances import Pair
from atomsight.core.crystal import Crystal
from atomsight.core.errors import DatasetError, InputError
from atomsight.dataset import Dataset, build, open_dataset


def random_cells(count: int) -> list[Crystal]:
    """Crowded random cells of H, C, O and Zn: bonds, near misses and overlaps of all kinds."""
    generator = np.random.default_rng(11)
    made = []
    for i in range(count):
        n = int(generator.integers(2, 9))
        made.append(
            Crystal(
                name=f"cell-{i:03d}",
                lattice=np.eye(3) * 4.5 + generator.normal(0, 0.3, (3, 3)),
                fractional=generator.random((n, 3)),
                numbers=generator.choice([1, 6, 8, 30], n, p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8),
                orbits=np.arange(n, dtype=np.int32),
                labels=tuple(f"A{j}" for j in range(n)),
            )
        )
    return made


@pytest.fixture(scope="module")
def bonded(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("bonded") / "dataset"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atomsight.dataset.shards.ROW_GROUP_ROWS", 100)
        build(random_cells(150), out, 5, bonds="perceive")
    return open_dataset(out)


def test_counts_are_those_of_a_plain_loop(bonded: Dataset) -> None:
    study = study_bonds(bonded, threshold=0.2)
    sites = known = within = bonds = beyond = 0
    differences: Counter[int] = Counter()
    nearest: Counter[tuple[int, int, str]] = Counter()
    every: Counter[tuple[int, int, str, int]] = Counter()
    names = ["element", "distances", "neighbours", "neighbour_elements", "bonds"]
    for batch in bonded.batches(names):
        for element, distances, neighbours, others, listed in zip(*(batch[n] for n in names), strict=True):
            known += 1
            met = "no bond"
            for bond in listed:
                bonds += 1
                places = [
                    i
                    for i in range(bonded.k)
                    if neighbours[i] == bond["site"] and abs(distances[i] - bond["length"]) <= 0.005
                ]
                if not places:
                    beyond += 1
                    continue
                every[
                    int(element), int(others[places[0]]), bond["type"], int((bond["length"] - LOW) / STEP)
                ] += 1
                if 0 in places:
                    met = bond["type"]
            nearest[int(element), int(others[0]), met] += 1
            if listed:
                sites += 1
                gap = max(min(bond["length"] for bond in listed) - distances[0], 0.0)
                within += gap <= 0.2
                differences[min(int((gap + 1e-6) / 0.01), 200)] += 1
    assert (study.sites, study.known, study.bonded) == (known, known, sites)
    assert (study.bonds, study.beyond, study.within) == (bonds, beyond, within)
    assert beyond > 0
    assert within < sites
    assert {i: n for i, n in enumerate(study.differences.tolist()) if n} == differences
    for (centre, other, kind), count in nearest.items():
        assert study.type_counts(Pair(centre, other))[kind] == count
    assert sum(nearest.values()) == sum(study.pairs().values())
    for centre, other, kind in {key[:3] for key in every}:
        counts = study.histogram(Pair(centre, other), kind, EVERY)
        wanted = {
            key[3]: n for key, n in every.items() if key[:3] == (centre, other, kind) and 0 <= key[3] < 700
        }
        assert sum(wanted.values()) == counts.sum()
        # A length on the edge of a bin may fall on either side in float32.
        assert sum(abs(counts[i] - n) for i, n in wanted.items()) <= 0.02 * counts.sum() + 2


def test_pairs_may_be_read_from_both_ends(bonded: Dataset) -> None:
    study = study_bonds(bonded)
    one, other = Pair(6, 8), Pair(8, 6)
    both = study.histogram(one, "single", EVERY, both=True)
    parts = study.histogram(one, "single", EVERY) + study.histogram(other, "single", EVERY)
    assert both.sum() > 0
    assert (both == parts).all()
    assert (
        study.histogram(Pair(6, 6), "single", EVERY, both=True).sum()
        == study.type_counts(Pair(6, 6), EVERY)["single"]
    )


def test_elements_and_split_narrow_the_sites(bonded: Dataset) -> None:
    carbon = study_bonds(bonded, [6])
    assert {pair.centre for pair in carbon.pairs()} == {6}
    assert carbon.sites == bonded.element_counts()[6]
    assert study_bonds(bonded, split="train").sites == bonded.n_sites("train")
    assert {pair.centre for pair in carbon.pairs(EVERY)} == {6}


def test_summary_agrees_with_its_rows(bonded: Dataset) -> None:
    study = study_bonds(bonded)
    summary, rows = summarise_bonds(study), pair_rows(study)
    assert sum(row["nearest_neighbours"] for row in rows) == summary["nearest_neighbours"] == study.known
    bonded_rows = sum(row["bonded"] for row in rows)
    assert bonded_rows / study.known == pytest.approx(summary["nearest_neighbours_bonded"])
    assert 0 < bonded_rows < study.known
    assert sum(summary["nearest_by_type"].values()) == sum(study.type_counts(way=NEAREST).values())


def test_what_cannot_be_counted_is_told(bonded: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no U; it holds"):
        study_bonds(bonded, [6, 92])
    with pytest.raises(InputError, match="threshold"):
        study_bonds(bonded, threshold=-1)
    build(random_cells(5), tmp_path / "d", 3)
    with pytest.raises(DatasetError, match=r"built with --bonds file.*--bonds perceive"):
        study_bonds(open_dataset(tmp_path / "d"))


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    build(random_cells(5), tmp_path / "d", 3, bonds="perceive")
    dataset = open_dataset(tmp_path / "d")
    shard = dataset.shards()[0]
    shard.write_bytes(b"x" * shard.stat().st_size)
    with pytest.raises(DatasetError, match=f"{shard.name} is damaged"):
        study_bonds(dataset)
