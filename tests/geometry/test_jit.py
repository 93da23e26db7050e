"""When kernels are compiled, what is said about it, and what happens where no cache can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNEL = """
from atomsight.geometry.jit import compiled, part
import numpy as np

@part
def double(values, i):
    return 2 * values[i]

@compiled(small=5)
def total(values):
    result = 0.0
    for i in range(len(values)):
        result += double(values, i)
    return result
"""

SMALL = "import numpy as np; from atomsight_kernel import total; print(total(np.ones(3)), 'dispatcher' in vars(total))"
LARGE = "import numpy as np; from atomsight_kernel import total; print(total(np.ones(30)), 'dispatcher' in vars(total))"


@pytest.fixture
def start(tmp_path: Path):
    """Run code in a fresh process, with a kernel to import and a cache folder of its own."""
    kernel = (
        KERNEL + "\nfor function in (double, total):\n    function.function.__module__ = 'atomsight.kernel'\n"
    )
    (tmp_path / "atomsight_kernel.py").write_text(kernel)

    def run(code: str, cache: str, before: str = "") -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(tmp_path), *sys.path])
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": path}
        return subprocess.run(
            [sys.executable, "-c", before + code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_small_input_is_answered_without_numba(start, tmp_path: Path) -> None:
    found = start(SMALL + "; import sys; print('numba' in sys.modules)", str(tmp_path / "cache"))
    assert found.stdout.split() == ["6.0", "False", "False"], found.stderr
    assert not (tmp_path / "cache").exists()


def test_a_large_input_is_compiled_once_and_announced_once(start, tmp_path: Path) -> None:
    first, second = (start(LARGE, str(tmp_path / "cache")) for _ in range(2))
    assert first.stdout.split() == second.stdout.split() == ["60.0", "True"], first.stderr
    assert first.stderr.count("compiling") == 1
    assert str(tmp_path / "cache") in first.stderr
    assert second.stderr == ""


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
    found = start(LARGE, str(tmp_path / "cache"), before=trouble)
    assert found.stdout.split() == ["60.0", "True"], found.stderr
    assert found.stderr.count("RuntimeWarning") == 1
