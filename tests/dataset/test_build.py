"""What a build makes: right values, the same bytes however it went, and true reasons for what is left out."""

from __future__ import annotations

import os
import shutil
import tarfile
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atomsight.core.errors import DatasetError, EngineError, InputError
from atomsight.dataset import build, chunks, open_dataset
from atomsight.io import read
from atomsight.parallel import scheduler
from small_crystals import cif_text, content, write_cifs

K = 5


@pytest.fixture(scope="module")
def cifs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cifs(tmp_path_factory.mktemp("here") / "cifs", 40)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_FILES", 4)


@pytest.fixture(scope="module")
def undisturbed(cifs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("reference") / "dataset"
    build(cifs, out, K)
    return content(out)


def brute_distances(lattice: np.ndarray, fractional: np.ndarray, site: int, k: int) -> np.ndarray:
    shifts = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    points = ((fractional + shifts) @ lattice).reshape(-1, 3)
    return np.sort(np.linalg.norm(points - fractional[site] @ lattice, axis=1))[1 : k + 1]


def test_rows_are_the_crystals(cifs: Path, tmp_path: Path) -> None:
    build(cifs, tmp_path / "d", K)
    dataset = open_dataset(tmp_path / "d")
    crystals = {crystal.name: crystal for crystal in read(cifs)}
    rows: dict[str, dict[str, Any]] = {}
    columns = [
        "crystal",
        "site",
        "label",
        "element",
        "multiplicity",
        "distances",
        "neighbours",
        "neighbour_elements",
    ]
    for batch in dataset.batches(columns):
        for values in zip(*(batch[name] for name in columns), strict=True):
            row = dict(zip(columns, values, strict=True))
            rows.setdefault(row["crystal"], {})[int(row["site"])] = row
    assert set(rows) == set(crystals)
    for name, crystal in crystals.items():
        assert len(rows[name]) == crystal.n_sites
        for site, row in rows[name].items():
            atom = int(crystal.representatives[site])
            assert row["label"] == crystal.labels[site]
            assert row["element"] == crystal.numbers[atom]
            assert row["multiplicity"] == crystal.multiplicities[site]
            expected = brute_distances(crystal.lattice, crystal.fractional, atom, K)
            np.testing.assert_allclose(row["distances"], expected, rtol=1e-6)
            assert crystal.site_numbers[row["neighbours"]].tolist() == row["neighbour_elements"].tolist()
    table = {row["crystal"]: row for row in dataset.crystals().to_pylist()}
    for name, crystal in crystals.items():
        row = table[name]
        assert (row["formula"], row["n_sites"], row["n_atoms"]) == (
            crystal.formula,
            crystal.n_sites,
            crystal.n_atoms,
        )
        np.testing.assert_allclose(np.reshape(row["lattice"], (3, 3)), crystal.lattice)
        assert row["volume"] == pytest.approx(crystal.volume, rel=1e-6)
        assert row["a"] == pytest.approx(np.linalg.norm(crystal.lattice[0]), rel=1e-6)
        assert row["beta"] == pytest.approx(
            np.degrees(np.arccos(crystal.lattice[0] @ crystal.lattice[2] / row["a"] / row["c"])), rel=1e-5
        )
        assert (row["alpha"], row["gamma"]) == (90, 90)
        assert row["source"].startswith("cifs/")
        assert sorted(crystal.flags) == row["flags"]
    assert [(r["source"], r["rule"]) for r in dataset.skipped().to_pylist()] == [
        ("cifs/broken0.cif", "syntax"),
        ("cifs/broken1.cif", "syntax"),
    ]
    assert all(r["reason"] for r in dataset.skipped().to_pylist())


def test_same_bytes_for_any_workers_engine_place_and_chunks(
    cifs: Path, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(cifs, tmp_path / "two", K, executor=2)
    assert content(tmp_path / "two") == undisturbed
    with ThreadPoolExecutor(3) as executor:
        build(cifs, tmp_path / "threads", K, executor=executor)
    assert content(tmp_path / "threads") == undisturbed
    elsewhere = shutil.copytree(cifs, tmp_path / "elsewhere" / "cifs")
    monkeypatch.chdir(elsewhere.parent)
    monkeypatch.setattr(chunks, "CHUNK_FILES", 11)
    build(["cifs/"], tmp_path / "moved", K)
    assert content(tmp_path / "moved") == undisturbed


class Backwards(Executor):
    """Finishes tasks in the opposite of the order in which they were given."""

    _max_workers = 100

    def __init__(self) -> None:
        self.tasks: list[tuple[Future[Any], Any, Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.tasks.append((future, fn, args))
        return future

    def run(self) -> None:
        for future, fn, args in reversed(self.tasks):
            future.set_result(fn(*args))
        self.tasks.clear()


def test_order_of_finishing_does_not_matter(
    cifs: Path, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Backwards()
    waited = scheduler.wait

    def wait(*arguments: Any, **options: Any) -> Any:
        executor.run()
        return waited(*arguments, **options)

    monkeypatch.setattr(scheduler, "wait", wait)
    build(cifs, tmp_path / "d", K, executor=executor)
    assert content(tmp_path / "d") == undisturbed


def test_files_named_by_a_shell(cifs: Path, tmp_path: Path) -> None:
    paths = sorted(cifs.glob("*.cif"))
    summary = build(paths, tmp_path / "d", K, executor=2)
    assert summary.crystals == len(paths) - 2
    assert set(open_dataset(tmp_path / "d").crystals().column("source").to_pylist()) < {p.name for p in paths}


def test_archive_and_duplicate_names(cifs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "same.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(cifs.glob("*.cif")):
            tar.add(path, path.name)
    summary = build([cifs, archive], tmp_path / "d", K)
    rows = open_dataset(tmp_path / "d").crystals().to_pylist()
    ids = [row["crystal"] for row in rows]
    assert len(set(ids)) == len(ids) == summary.crystals
    assert "s0001" in ids
    assert "same/s0001" in ids
    by_id = {row["crystal"]: row for row in rows}
    assert by_id["same/s0001"]["source"] == "same.tar.gz::s0001.cif"
    assert by_id["same/s0001"]["sha256"] == by_id["s0001"]["sha256"]
    assert by_id["same/s0001"]["family"] == by_id["s0001"]["family"]
    sites = {c for b in open_dataset(tmp_path / "d").batches(["crystal"]) for c in b["crystal"]}
    assert sites == set(ids)


def test_no_group_is_torn(tmp_path: Path) -> None:
    folder = tmp_path / "cifs"
    folder.mkdir()
    for index in range(30):
        (folder / f"ABC{'DEFGHIJKLM'[index // 3]}EF{index % 3:02d}.cif").write_text(cif_text(index))
    (folder / "other.cif").write_text(cif_text(0))
    build(folder, tmp_path / "d", K)
    splits: dict[str, set[str]] = {}
    for row in open_dataset(tmp_path / "d").crystals().to_pylist():
        for key in ("family", "formula", "group"):
            splits.setdefault(f"{key} {row[key]}", set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert len({s for found in splits.values() for s in found}) > 1


def test_one_per_refcode(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, str]) -> Path:
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
        return tmp_path / name

    better = folder(
        "better",
        {
            "ABCDEF_freeONLY.cif": cif_text(0),
            "ABCDEF_other.cif": cif_text(1),
            "BADBAD_freeONLY.cif": "data_x\n",
            "doi_1_freeONLY.cif": cif_text(7),
            "quartz.cif": cif_text(8),
        },
    )
    worse = folder(
        "worse",
        {
            "ABCDEF_clean.cif": cif_text(2),
            "ABCDEF01_clean.cif": cif_text(3),
            "BADBAD_clean.cif": cif_text(4),
            "doi_1_clean.cif": cif_text(5),
            "quartz.cif": cif_text(6),
        },
    )
    build([better, worse], tmp_path / "d", K, one_per_refcode=True)
    dataset = open_dataset(tmp_path / "d")
    assert set(dataset.crystals().column("crystal").to_pylist()) == {
        "ABCDEF_freeONLY",
        "ABCDEF_other",  # within one source nothing is superseded
        "doi_1_freeONLY",
        "quartz",
        "ABCDEF01_clean",  # another determination
        "BADBAD_clean",  # its better file could not be read
        "worse/quartz",  # a name that says nothing about the entry
    }
    skips = {row["source"]: row["rule"] for row in dataset.skipped().to_pylist()}
    assert skips == {
        "better/BADBAD_freeONLY.cif": "no_sites",
        "worse/ABCDEF_clean.cif": "superseded",
        "worse/doi_1_clean.cif": "superseded",
    }
    build([better, worse], tmp_path / "two", K, one_per_refcode=True, executor=2)
    assert content(tmp_path / "two") == content(tmp_path / "d")


def test_licences(cifs: Path, tmp_path: Path) -> None:
    first = shutil.copytree(cifs, tmp_path / "first")
    (first / "corpus.json").write_text('{"licence": "CC0"}')
    single = tmp_path / "single.cif"
    single.write_text(cif_text(99))

    def licences(out: str) -> dict[str, str]:
        rows = open_dataset(tmp_path / out).crystals(["source", "licence"]).to_pylist()
        return {row["source"].split("/")[0]: row["licence"] for row in rows}

    build([first, single], tmp_path / "d", K)
    assert licences("d") == {"first": "CC0", "single.cif": ""}
    build([first, single], tmp_path / "e", K, licence="MIT")
    assert licences("e") == {"first": "MIT", "single.cif": "MIT"}
    build([first, single], tmp_path / "f", K, licence=["MIT", "BSD-3"])
    assert licences("f") == {"first": "MIT", "single.cif": "BSD-3"}
    with pytest.raises(InputError, match="3 licences for 2 sources"):
        build([first, single], tmp_path / "g", K, licence=["a", "b", "c"])


def test_a_crystal_that_no_rule_foresaw_is_a_skip(
    cifs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from atomsight.dataset import rows

    honest = rows.bonds_of

    def faulty(crystal: Any, source: Any) -> Any:
        if crystal.name == "s0002":
            raise FloatingPointError("no such luck")
        return honest(crystal, source)

    monkeypatch.setattr(rows, "bonds_of", faulty)
    summary = build(cifs, tmp_path / "d", K)
    assert (summary.crystals, summary.skipped) == (39, {"failed": 1, "syntax": 2})
    reasons = {row["source"]: row["reason"] for row in open_dataset(tmp_path / "d").skipped().to_pylist()}
    assert reasons["cifs/s0002.cif"] == "FloatingPointError: no such luck"


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    folder = tmp_path / "cifs"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/caf\xe9.cif", "w") as file:
        file.write(cif_text(1))
    build(folder, tmp_path / "d", K)
    assert open_dataset(tmp_path / "d").crystals().column("crystal").to_pylist() == ["caf\ufffd"]


def test_wrong_use(cifs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        build(tmp_path / "nowhere", tmp_path / "d")
    with pytest.raises(InputError, match="no source given"):
        build([], tmp_path / "d")
    for k in (0, 2_000_000):
        with pytest.raises(InputError, match="k: must be a whole number from 1 to 1000"):
            build(cifs, tmp_path / "d", k)
    with pytest.raises(InputError, match="at least 1 worker process is needed, not 0"):
        build(cifs, tmp_path / "d", executor=0)
    with pytest.raises(InputError, match="given twice"):
        build([cifs, cifs], tmp_path / "d")
    with pytest.raises(InputError, match="is a file"):
        build(cifs, cifs / "s0001.cif")
    with pytest.raises(InputError, match="not empty and holds no dataset"):
        build(cifs, cifs)
    assert not (tmp_path / "d").exists()


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no crystal could be read from empty: no CIF in this folder"):
        build(tmp_path / "empty", tmp_path / "d")
    (tmp_path / "bad.cif").write_text("data_x\n")
    with pytest.raises(DatasetError, match=r"no crystal could be read from bad\.cif"):
        build(tmp_path / "bad.cif", tmp_path / "d")
    assert not list((tmp_path / "d").iterdir())


class Dying(Executor):
    """A pool whose third task kills its worker."""

    _max_workers = 1

    def __init__(self) -> None:
        self.count = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.count += 1
        future: Future[Any] = Future()
        if self.count == 3:
            future.set_exception(BrokenProcessPool("a child process terminated abruptly"))
        else:
            future.set_result(fn(*args))
        return future


def test_a_dead_worker_is_reported_and_the_build_goes_on_later(
    cifs: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"a worker died.*cifs/.*\.cif to cifs/.*the same command goes on"):
        build(cifs, tmp_path / "d", K, executor=Dying())
    summary = build(cifs, tmp_path / "d", K)
    assert summary.resumed > 0
    assert content(tmp_path / "d") == undisturbed
