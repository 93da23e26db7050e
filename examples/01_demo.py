"""The main job on bundled real crystals: read, measure, predict every site's element, draw the matrix.

Run it with ``make demo``, or: python examples/01_demo.py --out demo-output
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent
CRYSTALS = EXAMPLES / "crystals.tar.xz"
ONE = EXAMPLES / "ibuprofen.cif"


def atomsight(*arguments: str | Path) -> None:
    """Show a command as a user would type it, and run it."""
    words = [str(a) for a in arguments]
    print(f"\n$ atomsight {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "atomsight.cli.main", *words], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    out = parser.parse_args().out
    if out.exists():
        shutil.rmtree(out)

    print("1. The ten nearest-neighbour distances of every symmetry-unique site of one crystal.")
    atomsight("neighbours", ONE, "-k", "10")

    print("\n2. Which element sits on every site? The model sees the distances alone, never the elements.")
    atomsight("predict", ONE)

    print("\n3. An archive of real crystals that the model never saw in training, made into a dataset ...")
    atomsight("dataset", "build", CRYSTALS, "--out", out / "dataset", "-k", "24")

    print("\n4. ... and the model judged on it.")
    atomsight("evaluate", "default", out / "dataset", "--split", "all", "--out", out)

    print(f"\nThe confusion matrix is {out / 'confusion.png'}; every table behind it lies beside it.")
    print("Your own crystals next: .venv/bin/atomsight predict your-folder-of-cifs/")


if __name__ == "__main__":
    main()
