"""The house plan holds: imports only point downwards, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "atomsight"

FLOORS = [
    {"errors", "compiled", "wording"},
    {"elements", "citations", "labels", "files", "scores"},
    {"crystal"},
    {"flat"},
    {"neighbours"},
    {"symmetry"},
    {"readers"},
    {"bonds"},
    {"dataset"},
    {"models"},
    {"evaluate"},
    {"analyse"},
    {"screen"},
    {"plots"},
    {"report"},
    {"web"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(path: Path) -> set[str]:
    """Rooms of atomsight that a module imports anywhere, under TYPE_CHECKING and inside functions too."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {room_of(name) for name in names if name.split(".")[0] == "atomsight"}
    return rooms


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_downwards(path: Path) -> None:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    room = parts[0]
    if room == "__init__":
        return
    assert room in LEVEL, f"{room} has no floor in the house plan"
    for imported in imports_of(path) - {"__init__", "__version__"}:
        if imported == room:
            continue
        assert imported in LEVEL, f"{path} imports {imported}, which has no floor"
        assert LEVEL[imported] < LEVEL[room], f"{room} may not import {imported}: imports point downwards"


@pytest.mark.parametrize("module", ["atomsight", "atomsight.cli.main"])
def test_nothing_heavy_at_import(module: str) -> None:
    heavy = "numpy numba torch pyarrow onnxruntime gemmi moyopy matplotlib scipy duckdb rdkit".split()
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
