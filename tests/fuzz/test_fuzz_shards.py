"""Datasets with any bytes in their files: a message, never a crash, a hang, or rows that were not written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomsight.core.crystal import Crystal
from atomsight.core.errors import AtomsightError
from atomsight.dataset import build, open_dataset


def crystals(count: int) -> list[Crystal]:
    """Small triclinic cells."""
    generator = np.random.default_rng(0)
    made = []
    for index in range(count):
        n = int(generator.integers(1, 6))
        made.append(
            Crystal(
                name=f"c{index}",
                lattice=np.eye(3) * 5 + generator.normal(0, 0.3, (3, 3)),
                fractional=generator.random((n, 3)),
                numbers=generator.choice([1, 6, 8], n).astype(np.uint8),
                orbits=np.arange(n, dtype=np.int32),
                labels=tuple(f"A{i}" for i in range(n)),
                source=f"made/c{index}.cif",
                flags=frozenset(),
            )
        )
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fuzz") / "d"
    build(crystals(60), out, 4)
    return out


# Damaged Parquet may make Arrow itself abort, so what reads it unchecked runs in a process of its own.
CHILD = """
import sys
from pathlib import Path
import resource
from atomsight.dataset import open_dataset
from atomsight.dataset.merge import merge
from atomsight.core.errors import AtomsightError
resource.setrlimit(resource.RLIMIT_DATA, (2**31,) * 2)
for folder in sys.argv[1:]:
    try:
        assert open_dataset(folder).damaged() != []
        try:
            for batch in open_dataset(folder).batches(["crystal", "distances", "bonds"]):
                pass
            open_dataset(folder).crystals()
        except AtomsightError:
            pass
        try:
            merge([folder, sys.argv[1] + "-whole"], folder + "-merged")
        except AtomsightError:
            continue
        raise SystemExit(f"{folder} was merged")
    except AtomsightError:
        continue
print("done")
"""


def test_damaged_parquet(folder: Path, tmp_path: Path) -> None:
    """Bytes of the same number, changed in 40 ways: found by checksum, and reading without one ends too."""
    generator = np.random.default_rng(1)
    folders = []
    for index in range(40):
        copy = tmp_path / f"d{index}"
        shutil.copytree(folder, copy)
        file = generator.choice(sorted(copy.rglob("*.parquet")))
        data = bytearray(Path(file).read_bytes())
        # Half of the time in the footer, which says where everything lies.
        low = max(0, len(data) - 600) if index % 2 else 0
        for place in generator.integers(low, len(data), int(generator.integers(1, 8))):
            data[place] ^= int(generator.integers(1, 256))
        Path(file).write_bytes(data)
        folders.append(str(copy))
    shutil.copytree(folder, folders[0] + "-whole")
    run = subprocess.run(
        [sys.executable, "-c", CHILD, *folders], capture_output=True, text=True, timeout=100, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout == "done\n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_index(folder: Path, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """``dataset.json`` edited by hand, or not JSON at all."""
    index = json.loads((folder / "dataset.json").read_text())
    copy = tmp_path_factory.mktemp("index")
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    key = data.draw(st.sampled_from([*index, None, "bytes"]))
    if key == "bytes":
        (copy / "dataset.json").write_bytes(data.draw(st.binary(max_size=200)))
    else:
        value = data.draw(JSON)
        (copy / "dataset.json").write_text(json.dumps({**index, key: value} if key else value))
    try:
        dataset = open_dataset(copy)
        dataset.damaged()
        for _ in dataset.batches(["distances"]):
            pass
    except AtomsightError:
        pass
