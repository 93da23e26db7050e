"""When kernels are compiled, what is said about it, and what happens where no cache can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CALL = """
import sys, numpy as np
from atomsight.geometry.symmetry._sets import in_order
print(in_order(np.arange({size})[::-1])[-1], "dispatcher" in vars(in_order), "numba" in sys.modules)
"""
SMALL, LARGE = CALL.format(size=3), CALL.format(size=5000)


@pytest.fixture
def start():
    """Run code in a fresh process with a cache folder of its own."""

    def run(code: str, cache: Path, before: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
        return subprocess.run(
            [sys.executable, "-c", before + code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_small_input_is_answered_without_numba(start, tmp_path: Path) -> None:
    found = start(SMALL, tmp_path / "cache")
    assert found.stdout.split() == ["2", "False", "False"], found.stderr
    assert not (tmp_path / "cache").exists()


def test_a_large_input_is_compiled_once_and_announced_once(start, tmp_path: Path) -> None:
    first, second = (start(LARGE, tmp_path / "cache") for _ in range(2))
    assert first.stdout.split() == second.stdout.split() == ["4999", "True", "True"], first.stderr
    assert first.stderr.count("compiling") == 1
    assert str(tmp_path / "cache") in first.stderr
    assert second.stderr == ""


KEPT = """
import numpy as np
from atomsight.geometry import jit
from atomsight.geometry.symmetry._sets import in_order
jit._loaded.update({loaded})
in_order.spent = jit.SHORT_PATIENCE
in_order(np.arange(3))
print("dispatcher" in vars(in_order))
"""


def test_kept_machine_code_is_used_early_once_numba_is_in_use(start, tmp_path: Path) -> None:
    after_another, alone = KEPT.format(loaded={"another"}), KEPT.format(loaded=set())
    assert start(after_another, tmp_path / "cache").stdout.split() == ["False"]
    start(LARGE, tmp_path / "cache")
    assert start(alone, tmp_path / "cache").stdout.split() == ["False"]
    assert start(after_another, tmp_path / "cache").stdout.split() == ["True"]


NO_FOLDER = """
import numba.core.caching as caching
for name in ("CacheImpl", "_CacheImpl"):
    if hasattr(caching, name):
        getattr(caching, name)._locator_classes = []
"""

FULL_DISK = """
import numba.core.caching as caching
def full(self, *arguments):
    raise OSError(28, "No space left on device")
caching.IndexDataCacheFile.save = full
"""


@pytest.mark.parametrize("trouble", [NO_FOLDER, FULL_DISK])
def test_kernels_work_with_one_warning_where_nothing_can_be_kept(start, tmp_path: Path, trouble: str) -> None:
    found = start(LARGE, tmp_path / "cache", before=trouble)
    assert found.stdout.split() == ["4999", "True", "True"], found.stderr
    assert found.stderr.count("RuntimeWarning") == 1
