"""Coverage-guided fuzzing of everything between a file's bytes and a crystal, with atheris.

    pip install atheris
    python benchmarks/fuzz/reader.py FOLDER_OF_CIFS -dict=benchmarks/fuzz/cif.dict \\
        -max_total_time=400 -rss_limit_mb=1500 -timeout=20

libFuzzer changes the files of the folder by what reaches new code; an exception, more than the memory named,
or more than the seconds named for one input ends the run and leaves the input in a file. The folder grows.
"""

from __future__ import annotations

import sys

import atheris

import atomsight.geometry.neighbours
import atomsight.geometry.symmetry  # noqa: F401  numba cannot compile what atheris has changed

with atheris.instrument_imports(include=["atomsight.io", "atomsight.core.crystal"]):
    from atomsight.geometry.neighbours import site_neighbours
    from atomsight.io import crystals_of
    from atomsight.io.member import Member
    from atomsight.io.policy import Reason


def one_input(data: bytes) -> None:
    """Check that reading ends in crystals and reasons, and that each crystal has neighbours."""
    skips = []
    member = Member("x", "x.cif", data)
    crystals = crystals_of(member, on_skip=lambda s, reason: skips.append(reason))
    for crystal in crystals:
        if crystal.n_atoms < 300:
            site_neighbours(crystal, 4)
    assert all(isinstance(reason, Reason) for reason in skips)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
