from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from atomsight import read
from atomsight.cli import main
from atomsight.core.crystal import Crystal
from atomsight.core.elements import SYMBOLS
from atomsight.core.progress import Progress
from atomsight.geometry.crystal_class import VERDICT_CLASSES, verdict_class
from atomsight.geometry.neighbours import shared, site_surroundings
from atomsight.models import load_model
from atomsight.models.plausibility.inference import crystal_logits
from atomsight.rank.calibration import RankCalibration
from atomsight.rank.evidence import explain
from atomsight.rank.features import FEATURES, LEADING, NAMES, SCORE_CLASSES, SEARCHED
from atomsight.rank.ledger import Ledger, Ranked
from atomsight.rank.rank import Ranker, rank
from atomsight.rank.score import Combination, Limits, fit_logistic, margin, tolerated
from atomsight.rank.verdicts import LEAST, Verdicts
from perovskite import perovskite
from workshop.decoys import packed, shifted, swapped

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples"


def text_of(crystal: Crystal, name: str) -> str:
    """A CIF in P1."""
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    unit = crystal.lattice / lengths[:, None]
    angles = [np.degrees(np.arccos(unit[i] @ unit[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
    cell = [f"_cell_length_{axis} {value:.6f}" for axis, value in zip("abc", lengths, strict=True)]
    cell += [f"_cell_angle_{a} {v:.6f}" for a, v in zip(("alpha", "beta", "gamma"), angles, strict=True)]
    tags = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
    rows = [
        f"{SYMBOLS[z]}{i} {SYMBOLS[z]} {x:.6f} {y:.6f} {w:.6f}"
        for i, (z, (x, y, w)) in enumerate(zip(crystal.numbers, crystal.fractional, strict=True))
    ]
    head = [f"data_{name}", *cell, "_space_group_name_H-M_alt 'P 1'", "loop_"]
    return "\n".join([*head, *(f"_atom_site_{tag}" for tag in tags), *rows, ""])


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return Ranker(threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A real inorganic crystal among decoys of it, and another formula."""
    crystal = perovskite()
    generator = np.random.default_rng(0)
    place = tmp_path / "candidates"
    place.mkdir()
    (place / "real.cif").write_text(text_of(crystal, "real"))
    for i in range(3):
        (place / f"packed{i}.cif").write_text(text_of(packed(crystal, generator), "decoy"))
    (place / "halite.cif").write_bytes((DATA / "halite.cif").read_bytes())
    (place / "broken.cif").write_text("data_x\n")
    return place


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["atomsight", "rank", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main.run()
    return int(end.value.code or 0)


def test_real_crystals_come_before_decoys_of_them(ranker: Ranker) -> None:
    generator = np.random.default_rng(1)
    first = 0
    crystals = [c for c in read(EXAMPLES / "crystals.tar.xz") if c.n_atoms < 100][:8]
    for crystal in crystals:
        decoys = [shifted(crystal, generator, 0.3), packed(crystal, generator)]
        swap = swapped(crystal, generator, heavy=True)
        scores = [entry.score for entry in ranker.score([crystal, *decoys, *([swap] if swap else [])])]
        first += scores[0] == max(scores)
    assert first >= len(crystals) - 1


def test_scores_do_not_depend_on_company_or_cell(ranker: Ranker) -> None:
    crystals = [perovskite(), *read([DATA / "halite.cif", EXAMPLES / "ibuprofen.cif"])]
    together = [entry.score for entry in ranker.score(crystals)]
    alone = [ranker.score([crystal])[0].score for crystal in crystals]
    np.testing.assert_allclose(together, alone, atol=1e-3)
    with pytest.warns(UserWarning, match="calibrated for another model"):
        angles = Ranker(model=load_model("masked-site-angles-2", threads=1), threads=1)
    alone = [angles.score([crystal])[0].score for crystal in crystals]
    np.testing.assert_allclose([entry.score for entry in angles.score(crystals)], alone, atol=1e-3)
    first = crystals[0]
    wide = replace(
        first,
        lattice=first.lattice * [[2.0], [1.0], [1.0]],
        fractional=np.vstack([first.fractional, first.fractional + np.array([1, 0, 0])]) * [0.5, 1, 1],
        numbers=np.tile(first.numbers, 2),
        orbits=np.tile(first.orbits, 2),
    )
    assert ranker.score([wide])[0].score == pytest.approx(together[0], abs=1e-2)


@pytest.mark.parametrize("relaxed", [False, True])
def test_what_does_not_count_is_not_computed_and_changes_no_score(
    relaxed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    framework = next(c for c in read(EXAMPLES / "crystals.tar.xz") if c.name == "BAQWIC_clean")
    crystals = [perovskite(), framework, *read([DATA / "halite.cif", EXAMPLES / "ibuprofen.cif"])]
    quick, whole = (Ranker(relaxed=relaxed, explain=explain, threads=1) for explain in (False, True))
    expected = [entry.score for entry in whole.score(crystals)]
    np.testing.assert_allclose([entry.score for entry in quick.score(crystals)], expected, atol=1e-3)
    for crystal, score in zip(crystals, expected, strict=True):
        assert quick.score([crystal])[0].score == pytest.approx(score, abs=1e-3)
    networks = quick.extractor.networks
    assert ("inorganic_relaxed" in vars(networks)) == relaxed  # a network that is not needed is not opened
    assert ("inorganic_unrelaxed" in vars(networks)) == (not relaxed)
    ran: list[str] = []
    for name in ("general", "inorganic_relaxed", "inorganic_unrelaxed"):
        network = getattr(networks, name)
        site_logits = network.site_logits
        monkeypatch.setattr(
            network, "site_logits", lambda *a, f=site_logits, n=name: (ran.append(n), f(*a))[1]
        )
    quick.score(crystals[:1])  # inorganic
    assert ran == (["general", "inorganic_relaxed"] if relaxed else ["inorganic_unrelaxed"])
    ran.clear()
    quick.score(crystals[1:2])  # a framework
    assert ran == ["general"]
    ran.clear()
    quick.score(crystals[-1:])  # molecules
    assert ran == []


def test_inorganic_crystals_are_judged_by_the_mean_of_two_networks(ranker: Ranker) -> None:
    crystals = [perovskite(), *read(DATA / "halite.cif")]
    networks = ranker.extractor.networks
    found = ranker.extractor.features(crystals)
    for place, crystal in enumerate(crystals):
        distances, neighbours, directions = site_surroundings(crystal, 16)
        lengths, rows = distances.astype(np.float32), neighbours.astype(np.int64)
        element = crystal.site_numbers.astype(np.int64)
        begins = np.zeros(1, np.int64)
        sites = [
            network.site_logits(lengths, rows, element, begins, directions)
            for network in (networks.general, networks.inorganic_relaxed)
        ]
        assert not np.allclose(*sites)
        np.testing.assert_allclose(found.log_odds[place], np.mean(sites, axis=0), atol=1e-4)
        weight = crystal.multiplicities / crystal.n_atoms
        alone = [crystal_logits(one, weight, [crystal.n_sites])[0] for one in sites]
        assert found.values[place, NAMES.index("plausibility")] == pytest.approx(np.mean(alone), abs=1e-4)


def test_kinds_are_told_from_the_crystal(ranker: Ranker) -> None:
    framework = next(c for c in read(EXAMPLES / "crystals.tar.xz") if c.name == "BAQWIC_clean")
    crystals = [perovskite(), framework, *read(EXAMPLES / "ibuprofen.cif")]
    classes = [entry.crystal_class for entry in ranker.score(crystals)]
    assert classes == ["inorganic", "framework", "molecular"]


def test_python_orders_within_formulas(folder: Path) -> None:
    seen: list[Progress] = []
    ranked = list(rank(read(folder), explain=True, threads=1, progress=seen.append))
    assert len(ranked) == len(seen) == 5
    assert [step.done for step in seen] == [1, 2, 3, 4, 5]
    by_formula: dict[str, list[Ranked]] = {}
    for entry in ranked:
        by_formula.setdefault(entry.formula, []).append(entry)
    for entries in by_formula.values():
        assert [entry.rank for entry in entries] == list(range(1, len(entries) + 1))
        assert [entry.score for entry in entries] == sorted((e.score for e in entries), reverse=True)
    of_real = next(e for e in ranked if e.crystal == "real")
    assert of_real.rank == 1
    assert of_real.verdict == "keep"
    assert all(entry.evidence for entry in ranked if entry.verdict == "unlikely")


def test_command_writes_every_format(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, to = tmp_path / "kept", tmp_path / "o.parquet"
    assert not run(monkeypatch, folder, "--json", "--out", to, "--keep-dir", kept, "--threads", 1)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    skipped = [line for line in lines if "skipped" in line]
    ranked = [line for line in lines if "rank" in line]
    assert len(skipped) == 1
    assert set(ranked[0]) == {"rank", "crystal", "source", "formula", "kind", "score", "verdict"}
    table = pq.read_table(to).to_pylist()
    assert [row["crystal"] for row in table] == [line["crystal"] for line in ranked]
    survivors = {path.stem for path in kept.iterdir()}
    assert survivors == {Path(line["source"]).stem for line in ranked if line["verdict"] == "keep"}
    assert (kept / "real.cif").read_bytes() == (folder / "real.cif").read_bytes()
    for name in ("o.csv", "o.json", "o.jsonl"):
        assert not run(
            monkeypatch, folder, "--out", tmp_path / name, "--explain", "--show", 1, "--threads", 1
        )
    shown = capsys.readouterr().out
    assert "… 3 more" in shown
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 6
    assert len(json.loads((tmp_path / "o.json").read_text())) == 5
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 5


def test_many_candidates_are_judged_beside_each_other(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(1)
    for i in range(3, 20):
        (folder / f"packed{i}.cif").write_text(text_of(packed(perovskite(), generator), "decoy"))
    kept = tmp_path / "kept"
    arguments = ("--relaxed", "--json", "--explain", "--risk", 0.05, "--threads", 1)
    assert not run(monkeypatch, folder, "--keep-dir", kept, *arguments)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ranked = [line for line in lines if "rank" in line and line["formula"] != "ClNa"]
    assert len(ranked) == 21
    assert (ranked[0]["crystal"], ranked[0]["verdict"]) == ("real", "keep")
    verdicts = Ranker(0.05, relaxed=True, threads=1).verdicts
    for line in ranked:
        found = verdict_class(line["kind"], line["formula"])
        expected = compared(verdicts, found, line["score"], ranked[0]["score"], 21)
        assert line["verdict"] == expected
        told = any("below the best of 21" in words for words in line.get("evidence", []))
        assert told == (expected != "keep")
    assert {line["verdict"] for line in ranked} == {"keep", "unlikely"}
    again = {one.crystal: one.verdict for one in rank(read(folder), risk=0.05, relaxed=True, threads=1)}
    assert again == {line["crystal"]: line["verdict"] for line in lines if "rank" in line}
    survivors = {Path(line["source"]).name for line in lines if line.get("verdict") == "keep"}
    assert {path.name for path in kept.iterdir()} == survivors


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--risk", "0.7"], 2), (["--out", "x.xlsx"], 2), (["--keep-dir", "FOLDER"], 2), (["BROKEN"], 1)],
)
def test_wrong_usage_is_told(
    folder: Path, arguments: list[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [str(folder) if a == "FOLDER" else a for a in arguments]
    target = folder if arguments != ["BROKEN"] else folder / "broken.cif"
    assert run(monkeypatch, target, *(given if arguments != ["BROKEN"] else [])) == status


def test_another_model_is_warned_of(ranker: Ranker) -> None:
    with pytest.warns(UserWarning, match="calibrated for another model"):
        other = Ranker(model=load_model("two-stage", threads=1), threads=1)
    crystal = perovskite()
    assert other.score([crystal])[0].score != ranker.score([crystal])[0].score


def test_ledger_orders_ties_by_name() -> None:
    with Ledger() as ledger:
        for name in "cab":
            ledger.add(Ranked(0, name, name, "X", "inorganic", 1.0, "keep"))
        assert [(entry.rank, entry.crystal) for entry in ledger.ordered()] == [(1, "a"), (2, "b"), (3, "c")]


def combined(margins: np.ndarray) -> Combination:
    scores = np.linspace(-6.0, 8.0, 999)
    of_class = (margins, margins, margins[:0], margins - 4, margins - 2)
    limits = [Limits(scores, values, 20.0) for values in of_class]
    return Combination(np.zeros((3, 1)), np.zeros(3), dict(zip(VERDICT_CLASSES, limits, strict=True)))


def compared(verdicts: Verdicts, name: str, score: float, best: float, among: int) -> str:
    """The verdict among the candidates of a formula."""
    limit = verdicts.limit(name, among)
    if limit is None:
        return verdicts.alone(name, score)
    return "unlikely" if margin(score, best) < limit else "keep"


def test_molecules_with_metals_and_elements_have_verdict_classes_of_their_own() -> None:
    assert verdict_class("inorganic", "NaCl") == "inorganic"
    assert verdict_class("inorganic", "Kr") == "element"
    assert verdict_class("molecular", "C9H8O4") == "molecular"
    assert verdict_class("molecular", "C4H5O5Pb") == "complex"
    assert verdict_class("framework", "C4H5O5Pb") == "framework"
    verdicts = Verdicts(combined(np.linspace(-4.0, 0.0, 999)), 0.1)
    assert compared(verdicts, "molecular", 2.0, 8.0, 20) == "unlikely"
    assert compared(verdicts, "complex", 2.0, 8.0, 20) == "keep"


def test_beside_each_other_the_best_are_kept() -> None:
    verdicts = Verdicts(combined(np.linspace(-4.0, 0.0, 999)), 0.1)
    assert verdicts.alone("framework", -5.0) == "unlikely"
    few, some, many = (verdicts.limit("framework", among) for among in (LEAST - 1, 20, 2000))
    assert few is None
    assert some == pytest.approx(-4.0 + 4.0 * (tolerated(999, 0.1) - 1) / 998)
    assert many is not None
    assert many < some
    assert verdicts.limit("inorganic", 100) is None  # none was calibrated
    assert compared(verdicts, "framework", -2.0, -2.0, 20) == "keep"  # the best of poor ones
    assert compared(verdicts, "framework", 3.0, 8.0, 20) == "unlikely"  # good, but far from the best
    assert compared(verdicts, "framework", 3.0, 8.0, LEAST - 1) == "keep"
    assert compared(verdicts, "inorganic", 3.0, 8.0, 20) == "keep"
    assert compared(verdicts, "framework", -20.0, -20.0, 20) == "unlikely"
    assert "5.0 below the best of 20" in verdicts.explain("framework", 3.0, 8.0, 20)[0]
    assert verdicts.explain("framework", 8.0, 8.0, 20) == ()


def test_a_further_real_crystal_is_thrown_away_as_rarely_as_stated() -> None:
    generator = np.random.default_rng(0)

    def margins(groups: int, among: int) -> np.ndarray:
        real, decoys = generator.normal(3, 2, groups), generator.normal(-3, 2, (groups, among - 1))
        best = np.maximum(real, decoys.max(axis=1))
        return np.array([margin(one, top) for one, top in zip(real, best, strict=True)])

    verdicts = Verdicts(combined(np.sort(margins(2000, 20))), 0.05)
    for among in (10, 20, 200, 2000):
        limit = verdicts.limit("framework", among)
        assert limit is not None
        assert (margins(2000, among) < limit).mean() < 0.08


def test_the_ledger_judges_beside_each_other() -> None:
    verdicts = Verdicts(combined(np.linspace(-4.0, 0.0, 999)), 0.1)
    with Ledger(verdicts) as ledger:
        for i in range(12):
            ledger.add(
                Ranked(0, f"c{i}", f"c{i}", "X", "framework", float(-i), "keep", ("words",)), f"{i % 6}.cif"
            )
        ledger.add(Ranked(0, "alone", "alone", "Y", "framework", -30.0, "unlikely"))
        ordered = list(ledger.ordered())
        for entry in ordered[:12]:
            assert entry.verdict == compared(verdicts, "framework", entry.score, 0.0, 12)
            assert (len(entry.evidence) == 2) == (entry.verdict == "unlikely")
        assert {entry.verdict for entry in ordered[:12]} == {"keep", "unlikely"}
        assert ordered[12].verdict == "unlikely"
        assert ledger.kept() == sum(entry.verdict == "keep" for entry in ordered)
        assert sorted(ledger.copies()) == ["0.cif", "1.cif", "2.cif"]


def test_candidates_added_later_change_the_verdicts_of_those_before() -> None:
    verdicts = Verdicts(combined(np.linspace(-4.0, 0.0, 999)), 0.1)
    with Ledger(verdicts, in_memory=True) as ledger:
        for i in range(LEAST - 1):
            ledger.add(Ranked(0, f"c{i}", f"c{i}", "X", "framework", 1.0, "keep"))
        assert ledger.kept() == LEAST - 1  # too few to be judged beside each other
        ledger.add(Ranked(0, "best", "best", "X", "framework", 9.0, "keep"))
        assert ledger.kept() == 1
        assert next(ledger.ordered()).crystal == "best"


def test_one_thread_reads_a_ledger_in_memory_while_another_fills_it() -> None:
    verdicts = Verdicts(combined(np.linspace(-4.0, 0.0, 999)), 0.1)
    with Ledger(verdicts, in_memory=True) as ledger, ThreadPoolExecutor(1) as pool:

        def fill() -> None:
            for i in range(2000):
                ledger.add(Ranked(0, f"c{i:04}", "s", "X", "framework", float(-i % 7), "keep"))

        filled = pool.submit(fill)
        while not filled.done():
            seen = list(ledger.ordered())
            assert [one.rank for one in seen] == list(range(1, len(seen) + 1))
        filled.result()
        assert len(list(ledger.ordered())) == 2000


def test_the_best_of_a_formula_counts_for_candidates_of_every_kind() -> None:
    """A random packing of a framework's atoms seldom is a framework; what it is worse than is one."""
    verdicts = Verdicts(combined(np.linspace(-4.0, 0.0, 999)), 0.1)
    scored = [Ranked(0, f"m{i}", f"m{i}", "C2H2Zn", "molecular", -12.0 - i, "keep") for i in range(LEAST - 1)]
    scored.append(Ranked(0, "real", "real", "C2H2Zn", "framework", 4.0, "keep"))
    with Ledger(verdicts) as ledger:
        for one in scored:
            ledger.add(one)
        told = {one.crystal: one.verdict for one in ledger.ordered()}
    assert [name for name, verdict in told.items() if verdict == "keep"] == ["real"]


def test_the_shipped_weights_are_those_of_the_table_of_features() -> None:
    shipped = RankCalibration.load().weights
    for name in SCORE_CLASSES:
        weights = dict(zip(NAMES, shipped[name].tolist(), strict=True))
        for feature in FEATURES:
            weight = weights[feature.name]
            if name in feature.tied:
                assert weight == pytest.approx(feature.tied[name] * weights[LEADING[name]])
            else:
                assert weight * feature.sign >= 0
                assert weight == 0 or name in feature.fitted


def test_evidence_reports_what_exceeds_the_thresholds(ranker: Ranker) -> None:
    crystal = perovskite()
    small = replace(crystal, lattice=0.8 * crystal.lattice)
    features = ranker.extractor.features([crystal, small])
    assert not any("cell volume" in sentence for sentence in explain(crystal, features, 0))
    assert any("% below the value expected" in sentence for sentence in explain(small, features, 1))
    assert any("of the shortest usual distance" in sentence for sentence in explain(small, features, 1))


def test_bonds_and_networks_share_one_search(ranker: Ranker, monkeypatch: pytest.MonkeyPatch) -> None:
    framework = next(c for c in read(EXAMPLES / "crystals.tar.xz") if c.name == "BAQWIC_clean")
    searched: list[int] = []
    search = shared.search

    def counted(lattice: object, fractional: object, k: int, queries: object = None) -> object:
        searched.append(k)
        return search(lattice, fractional, k, queries)

    monkeypatch.setattr(shared, "search", counted)
    monkeypatch.setattr(shared, "solve", lambda *given: pytest.fail("the sites were searched again"))
    ranker.extractor.features([framework])
    assert searched[0] == SEARCHED
    assert len(searched) == len(set(searched))  # a wider search only where bonds are longer


def test_logistic_keeps_signs() -> None:
    generator = np.random.default_rng(0)
    real = generator.random(400) < 0.3
    values = generator.normal(size=(400, 3)) + np.where(real, 1.0, 0.0)[:, None] * [2.0, -1.0, 1.0]
    weights, _ = fit_logistic(values, real, np.array([1.0, 1.0, 0.0]))
    assert weights[0] > 0.5
    assert weights[1] == weights[2] == 0
