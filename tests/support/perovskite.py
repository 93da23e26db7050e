"""Strontium titanate, of the space group Pm-3m, a = 3.905 Å."""

from __future__ import annotations

import numpy as np

from atomsight.core.crystal import Crystal


def perovskite() -> Crystal:
    return Crystal(
        "SrTiO3",
        3.905 * np.eye(3),
        np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
        np.array([38, 22, 8, 8, 8], np.uint8),
        np.array([0, 1, 2, 2, 2], np.int32),
        ("Sr", "Ti", "O"),
    )
