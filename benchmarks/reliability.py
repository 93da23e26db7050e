"""What happens when work is killed at random moments, or the disk is full: a table.

    python benchmarks/reliability.py [CIFS] [--kills 100] [--seed 0]

Each round starts one of `dataset build` (one worker, two workers), `dataset add` and `dataset merge` as users
do, kills the process with SIGKILL at a moment drawn at random over the time that it takes undisturbed, and
starts it again, until it gets through; the files must then be those of an undisturbed run, byte for byte, and
at every moment in between the dataset that is added to must open and be whole. The disk is a tmpfs of a few
megabytes where this user may mount one.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples" / "crystals.tar.xz"
ATOMSIGHT = [sys.executable, "-m", "atomsight.cli.main"]


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@dataclass
class Case:
    """A command, what must be there before it, and the folder that it ends with."""

    name: str
    command: list[str]
    folder: Path
    begin: Callable[[], None]
    always_whole: bool = False
    kills: int = 0
    rounds: int = 0
    wrong: int = 0
    expected: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0


def reset(case: Case) -> None:
    for path in case.folder.parent.glob(case.folder.name + "*"):
        shutil.rmtree(path)
    case.begin()


def undisturbed(case: Case) -> None:
    reset(case)
    started = time.perf_counter()
    subprocess.run(case.command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    case.seconds = time.perf_counter() - started
    case.expected = content(case.folder)


def disturbed(case: Case, moments: random.Random) -> None:
    """One round: killed until it gets through, at most five times."""
    reset(case)
    before = content(case.folder) if case.always_whole else {}
    killed = 0
    while True:
        process = subprocess.Popen(
            case.command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
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
            if case.always_whole and content(case.folder) not in (before, case.expected):
                case.wrong += 1
            continue
        if status:
            case.wrong += 1
            print(f"{case.name} ended with {status}: {errors.decode()[-500:]}", file=sys.stderr)
        break
    case.rounds += 1
    case.wrong += content(case.folder) != case.expected


def cases(cifs: Path, folder: Path) -> list[Case]:
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

    grown, merged = folder / "grown", folder / "merged"
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
    ]


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[bool]:
    """A file system of a given size, where this user may make one."""
    folder.mkdir()
    options = ["-o", f"size={kilobytes}k"]
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True, check=False
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)


def full_disk(case: Case, folder: Path) -> None:
    """A build on disks that grow until it gets through, each time going on with what is there."""
    messages = []
    with small_disk(folder / "disk", 64) as mounted:
        if not mounted:
            print("| disk full | not tried: this user may not mount a tmpfs | |")
            return
        out = folder / "disk" / "d"
        command = [str(out) if word == str(case.folder) else word for word in case.command]
        size = 64
        while (run := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
            messages.append(run.stderr.strip().splitlines()[-1])
            size = size * 3 // 2
            subprocess.run(["mount", "-o", f"remount,size={size}k", folder / "disk"], check=True)
            assert size < 2**20
        same = content(out) == case.expected
    clear = sum("No space left on device" in message for message in messages)
    print(
        f"| disk full, the disk enlarged by half each time | {len(messages)} builds ended, {clear} with the "
        f"reason and what to do | {'identical' if same else 'DIFFERENT'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cifs", nargs="?", type=Path, help="folder; default is the bundled crystals")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    moments = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cifs = chosen.cifs or folder / "cifs"
        if chosen.cifs is None:
            with tarfile.open(EXAMPLES) as archive:
                archive.extractall(cifs, filter="data")
        tried = cases(cifs, folder)
        for case in tried:
            undisturbed(case)
        while sum(case.kills for case in tried) < chosen.kills:
            for case in tried:
                disturbed(case, moments)
        print("| what | tried | at the end |\n|---|---|---|")
        for case in tried:
            end = "identical" if not case.wrong else f"WRONG {case.wrong} times"
            print(f"| `{case.name}` | {case.kills} × kill -9 in {case.rounds} runs | {end} |")
        full_disk(tried[0], folder)


if __name__ == "__main__":
    main()
