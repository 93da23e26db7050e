"""Crystals whose geometry tells the element: pairs of equal atoms, each element at its own length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from atomsight.core.crystal import Crystal
from atomsight.training import Settings

PAIR_LENGTH = {1: 0.75, 6: 1.4, 8: 1.9, 30: 2.6}
"""Å, by atomic number."""

QUICK = Settings(k=4, elements="H,C,O", epochs=4, batch_size=256)
"""A training run of seconds that learns to tell the pairs apart."""

SHARES = [0.4, 0.3, 0.2, 0.1]

CELL = 18.0
"""Å; holds 27 pairs in boxes of 6 Å, so that a site's nearest neighbour is always its partner."""


def learnable_crystals(count: int, seed: int = 0) -> Iterator[Crystal]:
    """Cubic cells with 2 to 9 pairs of H, C, O or Zn in random places and directions; each atom is a site."""
    generator = np.random.default_rng(seed)
    boxes = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for index in range(count):
        pairs = int(generator.integers(2, 10))
        numbers = generator.choice(list(PAIR_LENGTH), pairs, p=SHARES)
        centres = (generator.permutation(boxes)[:pairs] + 0.5) * (CELL / 3) + generator.uniform(
            -0.5, 0.5, (pairs, 3)
        )
        directions = generator.normal(size=(pairs, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = np.array([PAIR_LENGTH[int(z)] for z in numbers]) + generator.normal(0, 0.02, pairs)
        half = directions * lengths[:, None] / 2
        points = np.stack([centres - half, centres + half], axis=1).reshape(-1, 3)
        yield Crystal(
            name=f"learnable-{seed}-{index:04d}",
            lattice=np.eye(3) * CELL,
            fractional=points / CELL % 1.0,
            numbers=np.repeat(numbers, 2).astype(np.uint8),
            orbits=np.arange(2 * pairs, dtype=np.int32),
            labels=tuple(f"A{site}" for site in range(2 * pairs)),
            source=f"made/{index}",
        )
