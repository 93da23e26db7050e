"""The code in README and docs runs: Python blocks in one namespace per page, ``$ atomsight`` lines."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(language, body) for language, body in BLOCK.findall(page.read_text(encoding="utf-8"))]


def commands(body: str) -> list[str]:
    """Lines that begin with ``$ atomsight``, continued lines joined."""
    joined = body.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ atomsight")]


RUNNABLE = [page for page in PAGES if any(lang in ("python", "console") for lang, _ in blocks(page))]


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda p: str(p.relative_to(ROOT)))
def test_code_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    namespace: dict[str, object] = {"__name__": "__docs__"}
    for language, body in blocks(page):
        if language == "python":
            exec(compile(body, str(page), "exec"), namespace)
        elif language == "console":
            for command in commands(body):
                arguments = [sys.executable, "-m", "atomsight.cli.main", *shlex.split(command)[1:]]
                result = subprocess.run(arguments, capture_output=True, text=True, check=False)
                assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"


def test_local_links_resolve() -> None:
    for page in PAGES:
        prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            if not target.startswith(("http://", "https://", "mailto:")):
                assert (page.parent / target).exists(), f"{page.name} links to {target}, which is missing"
