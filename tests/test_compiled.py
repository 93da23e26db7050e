"""Kernels work where no cache can be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CIF = Path(__file__).parents[1] / "examples" / "ibuprofen.cif"


def test_reading_works_without_any_cache_folder() -> None:
    code = f"""
import numba.core.caching as caching
for name in ("CacheImpl", "_CacheImpl"):
    if hasattr(caching, name):
        getattr(caching, name)._locator_classes = []
import atomsight
crystal = next(atomsight.read({str(CIF)!r}))
from atomsight.symmetry import find_orbits
print(crystal.n_sites, len(set(find_orbits(crystal.lattice, crystal.fractional, crystal.numbers))))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.split() == ["33", "33"], result.stderr
