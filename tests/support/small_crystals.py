"""Small crystals and CIFs for the tests of the dataset, the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from atomsight.core.crystal import Crystal


def random_crystals(count: int, seed: int = 0) -> Iterator[Crystal]:
    """Triclinic cells of one to eight atoms of H, C, N, O, Zn, each its own site; hydrogen is the most
    frequent."""
    generator = np.random.default_rng(seed)
    for index in range(count):
        n = int(generator.integers(1, 9))
        numbers = generator.choice([1, 6, 7, 8, 30], n, p=[0.4, 0.3, 0.15, 0.1, 0.05]).astype(np.uint8)
        yield Crystal(
            name=f"crystal-{index:05d}",
            lattice=np.eye(3) * 5 + generator.normal(0, 0.3, (3, 3)),
            fractional=generator.random((n, 3)),
            numbers=numbers,
            orbits=np.arange(n, dtype=np.int32),
            labels=tuple(f"A{site}" for site in range(n)),
            source=f"made/crystal-{index:05d}.cif",
            flags=frozenset({"has_hydrogen"}) if 1 in numbers else frozenset(),
        )


def cif_text(seed: int, name: str = "x") -> str:
    """A P1 cell of 4 to 12 atoms on a jittered grid, no two closer than 1 Å."""
    generator = np.random.default_rng(seed)
    n = int(generator.integers(4, 13))
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    points = (generator.permutation(grid)[:n] + generator.uniform(-0.2, 0.2, (n, 3))) / 3
    symbols = generator.choice(["H", "C", "N", "O", "Zn"], n)
    lengths = generator.uniform(6, 8, 3)
    atoms = "\n".join(
        f"{symbol}{i} {symbol} {x:.5f} {y:.5f} {z:.5f}"
        for i, (symbol, (x, y, z)) in enumerate(zip(symbols, points % 1, strict=True))
    )
    return f"""data_{name}
_cell_length_a {lengths[0]:.4f}
_cell_length_b {lengths[1]:.4f}
_cell_length_c {lengths[2]:.4f}
_cell_angle_alpha 90
_cell_angle_beta {generator.uniform(85, 105):.3f}
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{atoms}
"""


def write_cifs(folder: Path, count: int, broken: int = 2, first: int = 0) -> Path:
    """A folder tree of small CIFs, some of which cannot be read."""
    (folder / "deep").mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        place = folder / "deep" if index % 3 == 0 else folder
        (place / f"s{index:04d}.cif").write_text(cif_text(index, f"s{index:04d}"))
    for index in range(broken):
        (folder / f"broken{index}.cif").write_text("data_broken\nloop_\n_a\n_b\n1 2 3\n")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
