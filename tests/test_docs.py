"""The documentation: its code runs, its links lead somewhere, its lists are complete."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import atomsight
from atomsight.cli.main import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "atomsight"

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted(DOCS.rglob("*.md")),
]
NOTES = sorted((ROOT / "notebook").glob("*.md"))

FENCE = re.compile(r"^( *)```(.*?)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
RUN = ("python", "console", "sh")
NOT_RUN = re.compile(r'(py|sh) title="Not run: .+"')

SLOW = ("docs/tutorials/", *(f"docs/how-to/{page}.md" for page in ("distances-and-bonds", "report", "train")))
"""Pages whose code takes more than some seconds."""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of every block of code."""
    for _, information, body in FENCE.findall(page.read_text(encoding="utf-8")):
        yield information.strip(), body


def runnable() -> Iterator[object]:
    """The pages with code that runs; the long ones are marked."""
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        if any(language in RUN for language, _ in blocks(page)):
            yield pytest.param(page, id=name, marks=[pytest.mark.slow] if name.startswith(SLOW) else [])


@pytest.mark.parametrize("page", list(runnable()))
def test_code_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    namespace: dict[str, object] = {"__name__": "__main__"}
    for language, body in blocks(page):
        if language == "python":
            exec(compile(body, str(page), "exec"), namespace)
        elif language == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", body], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{body}\n{done.stdout}\n{done.stderr}"
        elif language == "console":
            for command in commands(body):
                result = CliRunner().invoke(app, shlex.split(command)[1:])
                assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"


def commands(body: str) -> list[str]:
    """Lines that begin with ``$ atomsight``, continued lines joined."""
    joined = body.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ atomsight")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_of_code_runs_or_says_why_not(page: Path) -> None:
    for information, body in blocks(page):
        known = information in (*RUN, "text") or NOT_RUN.fullmatch(information)
        assert known, f"a block marked {information!r} begins with {body[:60]!r}"
        if information == "console":
            lines = body.replace("\\\n", " ").splitlines()
            assert all(line.startswith("$ atomsight ") for line in lines), body


@pytest.mark.parametrize("page", [*PAGES, *NOTES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_their_anchors_resolve(page: Path) -> None:
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    targets = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r"^\[[^]]+\]: (\S+)", prose, re.MULTILINE)
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        generated = to == DOCS / hooks().GENERATED
        assert generated or to.exists(), f"link to {target}, which is missing"
        if anchor:
            text = hooks().command_line() if generated else to.read_text(encoding="utf-8")
            assert anchor in anchors(text), f"link to {target}, which has no such heading"


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as the site makes them."""
    headings = re.findall(r"^#+ (.+?)\s*$", FENCE.sub("", text), re.MULTILINE)
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading) for heading in headings)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", h).strip().lower()) for h in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lines_of_prose_are_short(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    assert not [line for line in prose.splitlines() if len(line) > 100 and not line.startswith("|")]


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    listed = set(re.findall(r"[\w/-]+\.md", navigation))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert pages | {hooks().GENERATED} | set(hooks().FROM_ROOT.values()) == listed


def test_imports_of_packages_are_those_in_the_architecture() -> None:
    page = (DOCS / "explanation/architecture.md").read_text(encoding="utf-8")
    section = page.split("## Packages")[1].split("\n## ")[0]
    table = re.findall(r"^\| `(\w+)` \| .+? \| (.*?) ?\|$", section, re.MULTILINE)
    order = [package for package, _ in table]
    listed = {package: set(names.split(", ")) - {""} for package, names in table}
    for place, package in enumerate(order):
        assert listed[package] <= set(order[:place]), package
    imports: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        package = path.relative_to(SOURCE).with_suffix("").parts[0]
        text = path.read_text(encoding="utf-8")
        names = re.findall(r"^\s*(?:from|import) atomsight\.(\w+)", text, re.MULTILINE)
        imports[package] = imports.get(package, set()) | set(names)
    for package in order:
        assert imports[package] - {package} == listed[package], package


def test_every_command_is_in_the_reference() -> None:
    page = hooks().command_line()
    for command in ("predict", "check", "rank", "train", "evaluate", "dataset build", "dataset split-like"):
        assert f"## atomsight {command}\n" in page
    assert "| `--risk` | number | `0.005` |" in page


def test_limits_and_skip_rules_are_complete() -> None:
    from atomsight.io import policy as quality

    limits = (DOCS / "reference/limits.md").read_text(encoding="utf-8")
    rules = (DOCS / "reference/skip-rules.md").read_text(encoding="utf-8")
    for field in fields(quality.QualityPolicy):
        assert f"`{field.name}`" in limits
    listed = "".join(re.findall(r"^- (``.+?):", quality.__doc__ or "", re.MULTILINE))
    for rule in re.findall(r"``(\w+)``", listed):
        assert f"| `{rule}` |" in rules


def test_thresholds_of_rank_are_those_of_the_shipped_calibration() -> None:
    page = (DOCS / "how-to/choose-threshold.md").read_text(encoding="utf-8")
    script = [sys.executable, str(ROOT / "benchmarks/rank_thresholds.py")]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    for row in printed.splitlines()[2:]:
        values = row.split("|", 3)[3]
        assert values in page


def test_public_names_are_in_the_reference() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference/api").glob("*.md"))
    for name in set(atomsight.__all__) - {"__version__"}:
        assert f"`{name}`" in pages
        directives = re.findall(rf"^::: atomsight\.(?:[\w.]+\.)?{name}$", pages, re.MULTILINE)
        assert len(directives) == 1, f"{name} is described {len(directives)} times"


def test_titles_of_the_two_citations_agree() -> None:
    title = re.search(r'^title: "(.+)"$', (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert title is not None
    assert f"title = {{{title[1]}}}" in (SOURCE / "citations.bib").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", ["neighbours", "predict", "check", "rank"])
def test_keys_of_json_are_documented(verb: str) -> None:
    page = FENCE.sub("", (DOCS / "reference/json.md").read_text(encoding="utf-8"))
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", page))))
    result = CliRunner().invoke(app, [verb, str(ROOT / "examples/ibuprofen.cif"), "--json"])
    record = json.loads(result.stdout)
    sites = [key for site in record.get("sites", []) for key in site]
    assert set(record) | set(sites) <= documented


def test_pages_named_in_the_code_exist() -> None:
    files = [path for folder in ("src", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")]
    for path in [*files, ROOT / "benchmarks/neighbours/README.md"]:
        for page in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / page).exists(), f"{path.relative_to(ROOT)} names {page}"


@cache
def hooks() -> ModuleType:
    """The hooks of the documentation's build."""
    specification = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
