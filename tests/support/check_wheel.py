"""Check the built distributions: contents and size. Run by ``make dist`` as ``check_wheel.py FOLDER``."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

MOST_MEGABYTES = 17.5
"""Largest size of the wheel."""

NEEDED = (
    "atomsight/py.typed",
    "atomsight/citations.bib",
    "atomsight/models/pretrained/artefacts.json",
    "atomsight/rank/rank.npz",
    "atomsight/web/static/index.html",
)
"""Files that are not Python modules and must be in the wheel."""


def main(folder: Path) -> None:
    """Exit with a message if a distribution is incomplete, holds too much, or is too large."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = [name for name in NEEDED if name not in names]
    foreign = sorted({name.split("/")[0] for name in names if not name.startswith("atomsight")})
    megabytes = wheel.stat().st_size / 1e6
    with tarfile.open(sdist) as archive:
        parts = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    absent = {"src", "tests", "docs", "workshop", "LICENSE", "README.md"} - parts
    print(f"{wheel.name}: {len(names)} files, {megabytes:.1f} MB; {sdist.name}: {len(parts)} entries")
    if missing or foreign or absent or megabytes > MOST_MEGABYTES:
        sys.exit(
            f"missing {missing}, foreign {foreign}, not in the sdist {sorted(absent)}, {megabytes:.1f} MB"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
