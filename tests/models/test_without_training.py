"""Inference needs none of the packages that train."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
EXAMPLES = TESTS.parent / "examples"

BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "lightning", "onnx"):
            raise ImportError(f"{name} must not be imported")

sys.meta_path.insert(0, Blocker())
"""

VERBS = """
import atomsight
from learnable_crystals import learnable_crystals

if __name__ == "__main__":
    path = sys.argv[1]
    assert next(iter(atomsight.predict(path))).probabilities.shape[0] > 0
    for composition in (dict(composition=True), dict(formula="C13H18O2")):
        assert next(iter(atomsight.predict(path, **composition))).predicted.size
    assert len(list(atomsight.check(path))) == 1
    assert len(list(atomsight.rank(path))) == 1
    atomsight.build(learnable_crystals(60), "dataset", 10)
    result = atomsight.evaluate("two-stage", atomsight.open_dataset("dataset"), split="test")
    print(result.evaluation.accuracy)
"""


def test_predict_check_rank_and_evaluate_run_without_the_training_packages(tmp_path: Path) -> None:
    script = tmp_path / "verbs.py"
    script.write_text(BLOCKED + f"sys.path.insert(0, {str(TESTS / 'support')!r})\n" + VERBS)
    command = [sys.executable, str(script), str(EXAMPLES / "ibuprofen.cif")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 <= float(done.stdout) <= 1


@pytest.mark.parametrize("package", ["models", "check", "rank", "evaluate"])
def test_tests_of_inference_import_no_torch_at_module_level(package: str) -> None:
    for path in (TESTS / package).glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"torch", "lightning", "onnx"} & {name.split(".")[0] for name in names}, path
