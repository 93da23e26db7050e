from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from atomsight.core.errors import InputError
from atomsight.dataset import build, open_dataset
from atomsight.report import Report, write_report
from atomsight.report.inputs import recognise
from atomsight.report.works import find_corpora, find_works
from hostile_crystals import HOSTILE, hostile_crystals


class Reader(HTMLParser):
    """Elements, identifiers, attributes that act, and the blocks of data of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.kinds: list[str] = []
        self.identifiers: list[str] = []
        self.links: list[str] = []
        self.actions: list[str] = []
        self.blocks: dict[str, object] = {}
        self._block = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        self.kinds.append(tag)
        self.actions += [name for name in held if name.startswith("on")]
        self.identifiers += [held["id"] or ""] if "id" in held else []
        self.links += [held[name] or "" for name in ("src", "href") if name in held]
        self._block = held.get("id") or "" if held.get("type") == "application/json" else ""

    def handle_data(self, data: str) -> None:
        if self._block:
            self.blocks[self._block] = json.loads(data)
            self._block = ""


@pytest.fixture(scope="module")
def read(made: Report) -> Reader:
    return Reader(made.path.read_text(encoding="utf-8"))


def test_names_from_files_stay_text(made: Report, read: Reader) -> None:
    text = made.path.read_text(encoding="utf-8")
    assert made.size == len(text.encode())
    assert HOSTILE not in text
    assert "<img src=x" not in text
    assert read.actions == []
    blocks = sum(kind == "script" for kind in read.kinds)
    assert blocks == len(read.blocks) + 4  # the page's own scripts
    assert {"h1", "dl", "table", "svg", "figure", "nav"} <= set(read.kinds)


def test_the_page_holds_everything_it_points_to(made: Report, read: Reader) -> None:
    assert len(read.identifiers) == len(set(read.identifiers))
    here = [link[1:] for link in read.links if link.startswith("#")]
    assert set(here) <= set(read.identifiers)
    others = [link for link in read.links if not link.startswith(("#", "data:"))]
    assert others
    assert all((made.path.parent / link).is_file() for link in others)


def test_sections_of_a_dataset_and_a_run(made: Report) -> None:
    titles = [section.title for section in made.sections]
    assert titles == ["Dataset data", "Run run", "Evaluation of run on test", "References"]
    cited = re.findall(r"@\w+\{([\w-]+),", made.path.read_text(encoding="utf-8"))
    assert {"atomsight", "amd", "pdd", "calibration", "bond-lengths"} <= set(cited)


def test_the_run_was_evaluated_and_its_sites_open(place: Path, made: Report, read: Reader) -> None:
    folder = place / "run" / "evaluation"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["split"] == "test"
    name = next(key for key in read.blocks if key.endswith("-sites-sites"))
    opened, shown = read.blocks[name], read.blocks[name.removesuffix("-sites") + "-rows"]
    assert isinstance(opened, dict)
    assert isinstance(shown, dict)
    assert len(opened["sites"]) == len(shown["rows"]) == min(40, summary["mistakes"])
    keys = [column["key"] for column in shown["columns"]]
    dataset = open_dataset(place / "data")
    batches = dataset.batches(["crystal", "site", "label", "distances", "neighbours"], split="test")
    labels: dict[tuple[str, int], str] = {}
    around: dict[tuple[str, str], tuple[list[float], list[int]]] = {}
    for batch in batches:
        for crystal, site, label, distances, neighbours in zip(*batch.values(), strict=True):
            labels[crystal, int(site)] = label
            around[crystal, label] = (distances[:4].tolist(), neighbours[:4].tolist())
    for row, (distances, elements, names, *nearer) in zip(shown["rows"], opened["sites"], strict=True):
        crystal, label = row[keys.index("crystal")], row[keys.index("label")]
        expected, neighbours = around[crystal, label]
        assert distances == pytest.approx(expected, abs=6e-4)
        assert names == [labels[crystal, site] for site in neighbours]
        assert all(0 <= index < len(opened["elements"]) for index in elements)
        assert all(len(shares) == 4 for shares in nearer)
    profile = opened["profiles"]["C"]
    assert len(profile) == 4
    assert all(quantiles == sorted(quantiles) for quantiles in profile)


def test_an_evaluation_without_its_dataset_lists_its_sites(place: Path, made: Report, tmp_path: Path) -> None:
    folder = tmp_path / "alone"
    shutil.copytree(place / "run" / "evaluation", folder)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"dataset": "gone"}))
    report = write_report([folder], tmp_path / "page.html")
    text = report.path.read_text(encoding="utf-8")
    assert "dataset of this evaluation is missing" in text
    assert "-opened" in text


def test_a_run_without_its_dataset_says_what_to_name(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(place / "run", run, ignore=shutil.ignore_patterns("evaluation"))
    settings = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps(settings | {"dataset": "gone"}))
    with pytest.raises(InputError, match="name the dataset too"):
        write_report([run], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
    (run / "model.onnx").unlink()
    report = write_report([run], tmp_path / "page.html")
    assert "has not ended" in report.path.read_text(encoding="utf-8")


def test_folders_are_recognised(place: Path, made: Report, tmp_path: Path) -> None:
    found = recognise([place / "run" / "evaluation", place / "run", place / "data", place / "data"])
    assert [one.content for one in found] == ["dataset", "run", "evaluation"]
    with pytest.raises(InputError, match="nothing that a report knows"):
        recognise([tmp_path])
    with pytest.raises(InputError, match="does not exist"):
        recognise([tmp_path / "absent"])


def test_the_same_folders_give_the_same_page(place: Path, made: Report, tmp_path: Path) -> None:
    build(hostile_crystals(12), tmp_path / "few", 4)
    pages = [write_report([tmp_path / "few"], tmp_path / f"{i}.html").path.read_bytes() for i in range(2)]
    assert pages[0] == pages[1]


def test_what_a_folder_used_is_cited(place: Path, made: Report, tmp_path: Path) -> None:
    def works(*paths: Path) -> set[str]:
        return set(find_works(recognise(paths)).names)

    dataset, run = {"atomsight", "amd", "pdd", "gemmi"}, {"soap", "calibration"}
    assert works(place / "data") == dataset
    assert works(place / "run") == dataset | run
    assert works(place / "run" / "evaluation") == dataset | run | {"selective"}
    grown = shutil.copytree(place / "run", tmp_path / "grown")
    (grown / "grown.json").write_text("{}")
    assert "net2net" in works(grown)
    bonds = tmp_path / "bonds"
    bonds.mkdir()
    (bonds / "nearest_by_pair.csv").touch()
    summary = {"bonds_from": "perceive", "dataset": "gone", "dataset_fingerprint": "0"}
    (bonds / "summary.json").write_text(json.dumps(summary))
    found = find_works(recognise([bonds]))
    assert (found.names, found.absent) == (("atomsight", "covalent-radii"), ("gone",))


def test_corpora_of_a_dataset_are_cited(tmp_path: Path) -> None:
    crystals = [
        replace(crystal, source=f"all.tar.xz::crystals/{folder}/{n}.cif")
        for n, (crystal, folder) in enumerate(
            zip(hostile_crystals(4), ["2019-ASR", "qmof-relaxed", "2019-ASR", "mine"], strict=True)
        )
    ]
    build(crystals, tmp_path / "data", 4)
    assert {"core-mof", "qmof"} <= set(find_works(recognise([tmp_path / "data"])).names)


def test_corpora_are_told_by_their_archives() -> None:
    assert find_corpora(["2019-FSR.tar.xz", "data/qmof-relaxed.tar.xz"]) == ("core-mof", "qmof")
    assert find_corpora(["my crystals"]) == ()
