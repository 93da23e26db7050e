"""The reference OPTIMADE server (package ``optimade``) with the crystals of some files in it, on loopback.

Run as ``python optimade_server.py PORT COPIES CIF...``; each crystal is in it so many times, as ``name.0``
and so on: the server gives twenty structures a page.
"""

from __future__ import annotations

import os
import sys
from functools import reduce
from math import gcd
from typing import Any


def resource(crystal: Any, copy: int) -> dict[str, Any]:
    """A crystal as the server keeps it: all atoms of its cell, no symmetry."""
    from atomsight.core.elements import SYMBOLS

    counts = dict(sorted(crystal.counts.items()))
    divisor = reduce(gcd, counts.values())
    total = sum(counts.values())
    formula = "".join(f"{s}{n // divisor if n > divisor else ''}" for s, n in counts.items())
    symbols = [SYMBOLS[z] for z in crystal.numbers.tolist()]
    letters = ("A", "B", "C", "D", "E", "F", "G", "H")
    by_count = sorted((n // divisor for n in counts.values()), reverse=True)
    return {
        "id": f"{crystal.name}.{copy}",
        "task_id": f"{crystal.name}.{copy}",
        "type": "structures",
        "immutable_id": None,
        "last_modified": "2026-01-01T00:00:00Z",
        "elements": list(counts),
        "nelements": len(counts),
        "elements_ratios": [n / total for n in counts.values()],
        "chemical_formula_descriptive": formula,
        "chemical_formula_reduced": formula,
        "chemical_formula_hill": None,
        "chemical_formula_anonymous": "".join(
            f"{letter}{n if n > 1 else ''}" for letter, n in zip(letters, by_count, strict=False)
        ),
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "lattice_vectors": crystal.lattice.tolist(),
        "cartesian_site_positions": (crystal.fractional @ crystal.lattice).tolist(),
        "nsites": len(symbols),
        "species_at_sites": symbols,
        "species": [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in counts],
        "structure_features": [],
    }


def main() -> None:
    port, copies, *files = sys.argv[1:]
    os.environ |= {
        "OPTIMADE_DATABASE_BACKEND": "mongomock",
        "OPTIMADE_INSERT_TEST_DATA": "false",
        "OPTIMADE_CONFIG_FILE": os.devnull,
    }
    import uvicorn
    from optimade.server.main import app

    import atomsight

    structures = app.state.entry_collections["structures"]
    structures.insert([resource(c, copy) for c in atomsight.read(files) for copy in range(int(copies))])
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error")


if __name__ == "__main__":
    main()
