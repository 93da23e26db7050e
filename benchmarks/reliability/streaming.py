"""Stream crystals through `check` and `rank` for minutes, and print how much memory they hold.

    python benchmarks/reliability/streaming.py [--minutes 10] [--copies 400]

The input is one archive with many copies of the bundled crystals. The resident memory is read twice a second.
It must not grow with the number of crystals.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import time
from datetime import date
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples" / "crystals.tar.xz"


def archive_of(copies: int, target: Path) -> None:
    """Write an archive of copies of the bundled crystals under names of their own."""
    with tarfile.open(EXAMPLES) as source:
        members = [(one.name, source.extractfile(one)) for one in source.getmembers() if one.isfile()]
        files = [(Path(name), file.read()) for name, file in members if file is not None]
    with tarfile.open(target, "w") as archive:
        for number in range(copies):
            for path, data in files:
                info = tarfile.TarInfo(f"{path.stem}-{number}{path.suffix}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def resident(process: int) -> float:
    """Return the resident memory of a process, MB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    return 0.0


def watched(verb: str, source: Path, seconds: float, folder: Path) -> None:
    """Run a verb for some time at most, and print a row of the table."""
    out = folder / f"{verb}.jsonl"
    samples: list[float] = []
    end = time.monotonic() + seconds
    with out.open("w") as file:
        command = [sys.executable, "-m", "atomsight.cli.main", verb, str(source), "--json"]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)
        while process.poll() is None and time.monotonic() < end:
            samples.append(resident(process.pid))
            time.sleep(0.5)
        finished = process.poll() is not None
        process.kill()
        process.wait()
    with out.open() as file:
        crystals = sum(1 for _ in file)
    half = len(samples) // 2
    early, late = max(samples[half // 5 : half], default=0), max(samples[half:], default=0)
    state = f"{crystals:,} crystals" if finished or crystals else "prints at its end"
    print(
        f"| `{verb}` | {len(samples) / 2:.0f} s | {state} | {early:.0f} | {late:.0f} | {late / early:.2f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10, help="for both verbs together")
    parser.add_argument("--copies", type=int, default=400, help="of the bundled crystals")
    chosen = parser.parse_args()
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| verb | time | handled | MB, first half | MB, second half | ratio |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive_of(chosen.copies, folder / "many.tar")
        for verb in ("check", "rank"):
            watched(verb, folder / "many.tar", 30 * chosen.minutes, folder)


if __name__ == "__main__":
    main()
