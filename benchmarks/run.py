"""All comparisons against peers, one after another; each prints its own table.

    python benchmarks/run.py                              on the bundled crystals
    python benchmarks/run.py --data FOLDER --mofs ARCHIVE also on the corpora: neighbour search, reading

FOLDER holds the corpora as archives, ARCHIVE is any archive of MOF CIFs, such as 2019-ASR.tar.xz of the
CoRE-MOF package. The scripts that train (training.py, masked_site.py) take a dataset and are run by hand.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples" / "crystals.tar.xz"


def run(script: str, *arguments: str | Path) -> None:
    """Run a script of this folder, its name and arguments shown first."""
    words = [str(a) for a in arguments]
    print(f"\n== {script} {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, HERE / script, *words], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with the corpora")
    parser.add_argument("--mofs", type=Path, help="an archive of MOF CIFs")
    chosen = parser.parse_args()
    if (chosen.data is None) != (chosen.mofs is None):
        parser.error("--data and --mofs go together")

    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(EXAMPLES) as archive:
            archive.extractall(folder, filter="data")
        run("build.py", folder, "--stages")
    run("reading.py", EXAMPLES, "--moyo")
    if chosen.data is not None:
        run("neighbours/compare.py", chosen.data, "--mofs", chosen.mofs)
        run("reading.py", chosen.mofs, *sorted(chosen.data.glob("*.tar.xz")), "--moyo")


if __name__ == "__main__":
    main()
