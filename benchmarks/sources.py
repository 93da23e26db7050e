"""Foreign formats against the CIFs of the same crystals, for many crystals; prints two tables.

    python benchmarks/sources.py cod-organic.tar.xz openchemistry-crystals.tar.xz

The first archive is written as SHELX .res and read back; the second is put into the reference OPTIMADE server
(package ``optimade[server]``) on loopback and read from there.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from urllib.request import urlopen

import numpy as np

import atomsight
from atomsight.core.crystal import Crystal
from atomsight.io import DEFAULT, Member, crystals_of, iter_members
from atomsight.io.http import HttpClient
from atomsight.io.optimade import members_of

HELPERS = Path(__file__).parents[1] / "tests" / "support"
sys.path.insert(0, str(HELPERS))
MENDED = {"disorder_resolved", "occupancy_rounded", "duplicates_merged", "deuterium", "missing_hydrogen"}


def compared(one: Crystal, other: Crystal) -> str:
    """Whether composition, distances (within 0.005 Å: the .res has six digits) and orbits are the same."""
    if one.counts != other.counts:
        return "differs"
    pair = (atomsight.nearest_neighbours(c.lattice, c.fractional, 8)[0] for c in (one, other))
    mine, theirs = (np.sort(distances, axis=0) for distances in pair)
    if np.abs(mine - theirs).max() >= 5e-3:
        return "differs"
    orbits = sorted(one.multiplicities) == sorted(other.multiplicities)
    return "same" if orbits else "same points, other orbits"


def shelx(archive: str) -> Counter[str]:
    """Outcomes of writing each ordered crystal as .res and reading it back."""
    from test_shelx import as_res

    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.cif")
        for member in iter_members(archive):
            found = crystals_of(member)
            if len(found) != 1 or found[0].flags & MENDED:
                outcomes["passed over: the CIF is skipped or mended"] += 1
                continue
            path.write_bytes(member.data)
            try:
                text = as_res(path)
            except AttributeError:
                outcomes["passed over: gemmi knows no such space group"] += 1
                continue
            back = crystals_of(Member("x", "x.res", text.encode("latin-1"), "shelx"))
            outcome = compared(back[0], found[0]) if back else "not read"
            outcomes[outcome] += 1
            if outcome != "same":
                print(f"  {outcome}: {member.name}")
    return outcomes


def optimade(archive: str) -> Counter[str]:
    """Outcomes of reading an archive's crystals back from the reference server."""
    direct: dict[str, list[Crystal]] = defaultdict(list)
    for crystal in atomsight.read(archive):
        direct[crystal.name].append(crystal)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [sys.executable, str(HELPERS / "optimade_server.py"), url.rpartition(":")[2], "1", archive],
        cwd=tempfile.gettempdir(),
    )
    outcomes: Counter[str] = Counter()
    try:
        for _ in range(300):
            try:
                urlopen(f"{url}/v1/info", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        for member in members_of(url, lambda s, r: outcomes.update(["lost"]), DEFAULT, HttpClient(pause=0.0)):
            back = crystals_of(member, DEFAULT)
            known = direct[member.name.removesuffix(".0")]
            outcome = min((compared(back[0], c) for c in known), key=len) if back else "not read"
            outcomes[outcome] += 1
            if outcome != "same":
                print(f"  {outcome}: {member.name}")
    finally:
        server.kill()
        server.wait()
    outcomes["held by the server"] = sum(map(len, direct.values()))
    return outcomes


if __name__ == "__main__":
    print("SHELX .res:", dict(shelx(sys.argv[1])))
    print("OPTIMADE:", dict(optimade(sys.argv[2])))
