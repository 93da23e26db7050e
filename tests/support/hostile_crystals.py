"""Crystals whose names, labels and sources try to break out of a page."""

from __future__ import annotations

import numpy as np

from atomsight.core.crystal import Crystal

HOSTILE = "</script><script>window.broken=1</script>"
"""As a label of a site, a name of a crystal and a title."""

IMAGE = '"><img src=x onerror="window.broken=1">'


def hostile_crystals(count: int = 80) -> list[Crystal]:
    rng = np.random.default_rng(5)
    made = []
    for i in range(count):
        n = int(rng.integers(3, 7))
        numbers = rng.choice([1, 6, 8, 30], n, p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8)
        made.append(
            Crystal(
                name=f"crystal-{i}{HOSTILE if i % 2 else IMAGE}",
                lattice=np.diag(rng.uniform(5, 8, 3)),
                fractional=rng.random((n, 3)),
                numbers=numbers,
                orbits=np.arange(n, dtype=np.int32),
                labels=tuple(f"X{j}{HOSTILE}" for j in range(n)),
                source=f"odd $names$ <b>.tar::{i}{IMAGE}.cif",
                flags=frozenset({"has_hydrogen"} if 1 in numbers else ()),
            )
        )
    return made
