"""The main commands on bundled real crystals: distances, prediction, ranking, evaluation.

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
ONE = EXAMPLES / "paracetamol.cif"
CANDIDATES = EXAMPLES / "CsZnSb-candidates.zip"


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

    print("1. Distances from every symmetry-unique site of one crystal to its ten nearest neighbours.")
    atomsight("neighbours", ONE, "-k", "10")

    print("\n2. Which element is on every site? The model sees the geometry, not the elements.")
    atomsight("predict", ONE)

    print("\n3. Which of 23 candidate structures are plausible?")
    atomsight("rank", CANDIDATES, "--show", "5")

    print("\n4. A dataset of 160 real crystals that the model has not seen in training ...")
    atomsight("dataset", "build", CRYSTALS, "--out", out / "dataset", "-k", "24")

    print("\n5. ... and the evaluation of the model on it.")
    atomsight("evaluate", "default", out / "dataset", "--split", "all", "--out", out)

    print(f"\nThe confusion matrix is {out / 'confusion.png'}; the tables are beside it.")
    print("Next, your own crystals: .venv/bin/atomsight predict FOLDER-OF-CIFS")


if __name__ == "__main__":
    main()
