from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atomsight import __version__, citations
from atomsight.citations import CITATIONS, find_citations
from atomsight.cli.main import app
from atomsight.core.errors import InputError

runner = CliRunner()


def test_everything_is_printed_as_bibtex() -> None:
    result = runner.invoke(app, ["cite"])
    assert result.exit_code == 0
    assert re.findall(r"^@\w+\{([\w-]+),$", result.stdout, re.MULTILINE) == [c.name for c in CITATIONS]
    assert result.stdout.count("{") == result.stdout.count("}")
    assert "10.46793/match.87-3.529W" in result.stdout


def test_every_entry_of_the_file_is_read() -> None:
    text = (Path(citations.__file__).with_name("citations.bib")).read_text(encoding="utf-8")
    assert text.count("\n@") == len(CITATIONS) > 30
    assert text.count(" = {") == sum(len(c.fields) for c in CITATIONS)


def test_names_and_topics_choose() -> None:
    result = runner.invoke(app, ["cite", "--json", "QMOF", "method"])
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert "qmof" in [r["name"] for r in records]
    assert {r["topic"] for r in records if r["name"] != "qmof"} == {"method"}
    assert next(r for r in records if r["name"] == "qmof")["doi"] == "10.1016/j.matt.2021.02.015"


def test_a_folder_cites_what_it_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("peaks.csv", "pairs.csv"):
        (folder / name).touch()
    (folder / "summary.json").write_text('{"dataset": "gone", "dataset_fingerprint": "0"}')
    result = runner.invoke(app, ["cite", "./data", "qmof", "--json"])
    assert result.exit_code == 0, result.output
    names = [json.loads(line)["name"] for line in result.stdout.splitlines()]
    assert names == ["atomsight", "bond-lengths", "diffusion-kde", "student-mixture", "qmof"]
    assert "gone is missing or has changed" in " ".join(result.stderr.split())
    topic = runner.invoke(app, ["cite", "data", "--json"])
    assert {json.loads(line)["topic"] for line in topic.stdout.splitlines()} == {"data"}


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"nothing to cite under nature; there are atomsight, amd, .*core-mof"
    ):
        find_citations(["nature"])


def test_every_work_says_where_it_is_found() -> None:
    for citation in CITATIONS:
        assert citation.topic in ("software", "method", "data")
        assert {"author", "title"} <= set(citation.fields)
        assert citation.name == "atomsight" or {"doi", "eprint", "url"} & set(citation.fields), citation.name
        assert not re.search(r"  |^ | $", "".join(citation.fields.values())), citation.name
    assert len({c.name for c in CITATIONS}) == len(CITATIONS)


def test_the_citation_file_follows_the_version() -> None:
    text = (Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in text
