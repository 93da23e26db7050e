"""The architecture: imports point one way, files form no cycle, and nothing heavy is imported early."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "atomsight"

PACKAGES = [
    "core",
    "geometry",
    "io",
    "parallel",
    "models",
    "dataset",
    "training",
    "check",
    "rank",
    "evaluate",
    "analyse",
    "plots",
    "citations",
    "report",
    "web",
    "cli",
    "__main__",
]
"""A package imports only from those above it."""

LEVEL = {name: level for level, name in enumerate(PACKAGES)}


def package_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(path: Path) -> set[str]:
    """Rooms of atomsight that a module imports anywhere, under TYPE_CHECKING and inside functions too."""
    packages = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        packages |= {package_of(name) for name in names if name.split(".")[0] == "atomsight"}
    return packages


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_downwards(path: Path) -> None:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    package = parts[0]
    if package == "__init__":
        return
    assert package in LEVEL, f"{package} is not in the list of packages"
    for imported in imports_of(path):
        if imported == package:
            continue
        assert imported in LEVEL, f"{path} imports {imported}, which is not in the list of packages"
        assert LEVEL[imported] < LEVEL[package], (
            f"{package} may not import {imported}: imports point downwards"
        )


def modules() -> dict[str, Path]:
    """Every file of the package by its module name."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def names_of(path: Path) -> list[str]:
    """Full names that a file imports anywhere, under TYPE_CHECKING and inside functions too."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules that import each other, by Tarjan's algorithm (1972, 10.1137/0201010)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in graph[module]:
            if other not in number:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            place = stack.index(module)
            group = set(stack[place:])
            del stack[place:]
            if len(group) > 1:
                found.append(group)

    for module in graph:
        if module not in number:
            visit(module)
    return found


def test_cycles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"a"}}
    assert cycles(graph) == [{"a", "b", "c"}]


def test_no_files_import_each_other() -> None:
    files = modules()
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        names = names_of(path)
        named = {name if name in files else name.rpartition(".")[0] for name in names}
        graph[module] = (named & files.keys()) - {module}
    assert cycles(graph) == []


def test_private_names_stay_in_their_package() -> None:
    found = set()
    for module, path in modules().items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for name in names_of(path):
            parts = name.split(".")
            for place, part in enumerate(parts):
                if part.startswith("_") and not part.startswith("__") and parts[0] == "atomsight":
                    owner = parts[:place]
                    if not SOURCE.parent.joinpath(*owner).is_dir():
                        owner = owner[:-1]
                    if package.split(".")[: len(owner)] != owner:
                        found.add((module, name))
    assert found == set()


def test_inference_stands_below_dataset_training_and_evaluation() -> None:
    found = {
        (module, package)
        for module, path in modules().items()
        if module.startswith("atomsight.models")
        for package in imports_of(path) & {"dataset", "training", "evaluate"}
    }
    assert found == set()


def test_the_package_never_imports_the_workshop() -> None:
    found = {
        module
        for module, path in modules().items()
        if any(name.split(".")[0] == "workshop" for name in names_of(path))
    }
    assert found == set()


@pytest.mark.parametrize("module", ["atomsight", "atomsight.cli.main"])
def test_nothing_heavy_at_import(module: str) -> None:
    heavy = "numpy numba torch pyarrow onnxruntime gemmi moyopy matplotlib scipy duckdb rdkit".split()
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
