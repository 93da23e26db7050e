"""Kill commands at random moments, start them again, and compare the files with those of a run in peace.

    python benchmarks/reliability/kills.py [CIFS] [--kills 100] [--seed 0] [--only WORD]

The commands are `dataset build` (one worker, two workers), `add`, `merge` and `repair`, `train` and
`rank --out`. Each round starts one, kills the process with SIGKILL at a moment drawn at random over the time
that it takes in peace, and starts it again (training with ``--resume``), until it gets through. The files
must then be those of a run in peace, byte for byte. Where a command replaces files, they must be the old or
the new ones at every moment. `full_disk.py` measures full disks.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples" / "crystals.tar.xz"
ATOMSIGHT = [sys.executable, "-m", "atomsight.cli.main"]


def content(folder: Path, pattern: str = "*") -> dict[str, bytes]:
    """Return the bytes of the files in a folder by their paths."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob(pattern)) if p.is_file()}


@dataclass
class Case:
    """A command and what it must leave behind.

    Attributes:
        begin: makes what must be there before.
        folder: what it ends with.
        always_whole: the folder must be as before or as at the end at every moment.
        again: words added when the command starts again.
        compared: pattern of the files that are compared.
    """

    name: str
    command: list[str]
    folder: Path
    begin: Callable[[], None]
    always_whole: bool = False
    again: tuple[str, ...] = ()
    compared: str = "*"
    kills: int = 0
    rounds: int = 0
    wrong: int = 0
    expected: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0


def reset(case: Case) -> None:
    """Remove what a case left behind, and make what must be there before it."""
    for path in case.folder.parent.glob(case.folder.name + "*"):
        shutil.rmtree(path)
    case.begin()


def undisturbed(case: Case) -> None:
    """Run a case in peace; note its time and its files."""
    reset(case)
    started = time.perf_counter()
    subprocess.run(case.command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    case.seconds = time.perf_counter() - started
    case.expected = content(case.folder, case.compared)


def disturbed(case: Case, moments: random.Random) -> None:
    """Run one round: at most five kills, then the command gets through."""
    reset(case)
    before = content(case.folder, case.compared) if case.always_whole else {}
    killed = 0
    while True:
        command = [*case.command, *(case.again if killed and case.folder.is_dir() else ())]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )
        if killed < 5:
            try:
                process.wait(moments.uniform(0.3, case.seconds))
            except subprocess.TimeoutExpired:
                process.kill()
        assert process.stderr is not None
        errors = process.stderr.read()
        status = process.wait()
        if status == -9:
            killed += 1
            case.kills += 1
            if case.always_whole and content(case.folder, case.compared) not in (before, case.expected):
                case.wrong += 1
            continue
        if status:
            case.wrong += 1
            print(f"{case.name} ended with {status}: {errors.decode()[-500:]}", file=sys.stderr)
        break
    case.rounds += 1
    case.wrong += content(case.folder, case.compared) != case.expected


def cases(cifs: Path, folder: Path) -> list[Case]:
    """Return the commands, on two halves of the files."""
    files = sorted(cifs.rglob("*.cif"))
    halves = [folder / "one", folder / "two"]
    for number, file in enumerate(files):
        half = halves[number % 2]
        half.mkdir(exist_ok=True)
        shutil.copy(file, half / f"{number}-{file.name}")
    parts = [folder / "part1", folder / "part2"]
    for half, part in zip(halves, parts, strict=True):
        subprocess.run(
            [*ATOMSIGHT, "dataset", "build", str(half), "--out", str(part), "--workers", "1"],
            check=True,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def build(workers: int) -> Case:
        out = folder / f"built{workers}"
        command = [*ATOMSIGHT, "dataset", "build", *map(str, halves), "--out", str(out)]
        name = f"dataset build, {workers} worker{'s'[: workers != 1]}"
        return Case(name, [*command, "--workers", str(workers)], out, lambda: None)

    grown, merged, mended = folder / "grown", folder / "merged", folder / "mended"
    run, ranked = folder / "run", folder / "ranked"

    def damaged() -> None:
        shutil.copytree(parts[0], mended)
        shard = max(mended.rglob("*.parquet"), key=lambda path: path.stat().st_size)
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)

    return [
        build(1),
        build(2),
        Case(
            "dataset add",
            [*ATOMSIGHT, "dataset", "add", str(grown), str(halves[1]), "--workers", "1"],
            grown,
            lambda: shutil.copytree(parts[0], grown) and None,
            always_whole=True,
        ),
        Case(
            "dataset merge",
            [*ATOMSIGHT, "dataset", "merge", *map(str, parts), "--out", str(merged)],
            merged,
            lambda: None,
        ),
        Case(
            "dataset repair",
            [*ATOMSIGHT, "dataset", "repair", str(mended), str(halves[0])],
            mended,
            damaged,
        ),
        Case(
            "train, then train --resume",
            [*ATOMSIGHT, "train", str(parts[0]), "--out", str(run), "--epochs", "4", "--elements", "all"],
            run,
            lambda: None,
            again=("--resume",),
            compared="model.onnx",
        ),
        Case(
            "rank --out",
            [*ATOMSIGHT, "rank", str(halves[0]), "--out", str(ranked / "order.csv")],
            ranked,
            lambda: ranked.mkdir(),
            always_whole=True,
            compared="order.csv",
        ),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cifs", nargs="?", type=Path, help="folder; default is the bundled crystals")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="commands whose name holds this word")
    chosen = parser.parse_args()
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    moments = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cifs = chosen.cifs or folder / "cifs"
        if chosen.cifs is None:
            with tarfile.open(EXAMPLES) as archive:
                archive.extractall(cifs, filter="data")
        tried = [case for case in cases(cifs, folder) if chosen.only in case.name]
        for case in tried:
            undisturbed(case)
        while sum(case.kills for case in tried) < chosen.kills:
            for case in tried:
                disturbed(case, moments)
        print("| what | tried | at the end |\n|---|---|---|")
        for case in tried:
            end = "identical" if not case.wrong else f"WRONG {case.wrong} times"
            print(f"| `{case.name}` | {case.kills} × kill -9 in {case.rounds} runs | {end} |")


if __name__ == "__main__":
    main()
