"""Whatever the bytes, reading ends in crystals and reasons, never in an exception."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from atomsight.io import Reason, crystals_of, iter_members
from atomsight.io._contacts import SMALL, close_pairs
from atomsight.io.member import Member

SEEDS = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "data").glob("*.cif"))]
SNIPPETS = [
    *(
        b"loop_",
        b"data_",
        b"\n;",
        b"'",
        b'"',
        b"_atom_site_fract_x",
        b"_cell_length_a",
        b"_atom_site_occupancy",
    ),
    *(b" 1e308 ", b" -1e-308 ", b" nan ", b" inf ", b"\0", b"\xff\xfe", b"#", b"(", b" ? ", b"x,y,z", b"1/0"),
    b"999999999999999999999",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["byte", "cut", "insert", "copy"]))
        if kind == "byte" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 200))]
        elif kind == "insert":
            data[at:at] = draw(st.sampled_from(SNIPPETS))
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 300))]
    return bytes(data)


def test_mutated_cifs() -> None:
    seen: Counter[str] = Counter()

    @settings(deadline=20_000, max_examples=300)
    @given(mutated())
    def run(data: bytes) -> None:
        skips: list[tuple[str, str]] = []
        crystals = crystals_of(Member("f", "f.cif", data), on_skip=lambda s, r: skips.append((s, r)))
        assert crystals or skips
        assert all(isinstance(reason, Reason) and reason.rule for _, reason in skips)
        seen.update({"all": 1, "read": bool(crystals), "skipped": bool(skips)})
        seen.update({reason.rule for _, reason in skips})  # type: ignore[attr-defined]
        for crystal in crystals:
            assert np.isfinite(crystal.fractional).all()
            assert np.isfinite(crystal.lattice).all()
            assert len(crystal.fractional) == len(crystal.numbers) == len(crystal.orbits) > 0
            assert crystal.orbits.max() + 1 == len(crystal.labels)
            assert (crystal.numbers > 0).all()

    run()
    # Some mutations must leave a crystal and others must not, by more than one rule.
    assert seen["read"] >= 0.02 * seen["all"], seen
    assert seen["skipped"] >= 0.02 * seen["all"], seen
    assert len(seen) >= 5, seen


@settings(deadline=20_000, max_examples=100)
@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    crystals_of(Member("f", "f.cif", data))


def test_mutated_archives(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    @settings(deadline=20_000, max_examples=80, derandomize=True)
    @given(st.sampled_from(["w", "w:gz", "w:xz"]), st.data())
    def run(mode: str, data: st.DataObject) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
            for i, content in enumerate(SEEDS[:3]):
                info = tarfile.TarInfo(f"{i}.cif")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        changed = bytearray(buffer.getvalue())
        for _ in range(data.draw(st.integers(1, 5))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            del changed[data.draw(st.integers(0, len(changed))) :]
        path = tmp_path / "x.tar"
        path.write_bytes(changed)
        skips: list[str] = []
        members = list(iter_members(path, lambda s, r: skips.append(r)))
        assert members or skips
        seen.update({"all": 1, "read": bool(members), "skipped": bool(skips)})

    run()
    assert seen["read"], seen
    assert seen["skipped"], seen


@pytest.mark.parametrize("small", [0, SMALL], ids=["sweep", "all pairs"])
@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.1, 3.0))
def test_close_pairs_agree_with_brute_force(small: int, seed: int, n: int, cutoff: float) -> None:
    rng = np.random.default_rng(seed)
    lattice = rng.normal(size=(3, 3)) * rng.choice([1.0, 3.0, 8.0], size=(3, 1))
    assume(abs(np.linalg.det(lattice)) >= 0.5)
    points = rng.random((n, 3))
    reach = 1 + np.ceil(cutoff * np.linalg.norm(np.linalg.inv(lattice), axis=0)).astype(int)
    assume(reach.max() <= 12)
    shifts = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1).reshape(-1, 3)
    expected = {}
    for i in range(n):
        for j in range(i + 1, n):
            nearest = np.linalg.norm((points[j] - points[i] + shifts) @ lattice, axis=1).min()
            if nearest < cutoff:
                expected[i, j] = nearest
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atomsight.io._contacts.SMALL", small)
        pairs, distances = close_pairs(lattice, points, cutoff, 1000)
    found: dict[tuple[int, int], float] = {}
    for (i, j), distance in zip(pairs.tolist(), distances.tolist(), strict=True):
        found[i, j] = min(distance, found.get((i, j), np.inf))
    assert set(found) == set(expected)
    assert all(abs(found[pair] - expected[pair]) < 1e-9 for pair in found)
