"""Run commands on a disk that is too small, enlarge it until they get through, and print how they end.

    python benchmarks/reliability/full_disk.py

The disk is a tmpfs, which this user must be allowed to mount. A command that finds no room must end with
exit status 1 and one line that says so, and leave no incomplete file under a final name. The local page must
refuse an upload that it cannot store, and go on.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples" / "crystals.tar.xz"
ATOMSIGHT = [sys.executable, "-m", "atomsight.cli.main"]
LARGEST = 2**17
"""Kilobytes at which a command is given up."""


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """Mount a file system of a given size."""
    folder.mkdir()
    options = ["-o", f"size={kilobytes}k"]
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True)
    if done.returncode:
        sys.exit("this user may not mount a tmpfs: nothing was tried")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def names(folder: Path) -> set[str]:
    """Return the paths of the files in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def grow(
    name: str, command: list[str], out: str, folder: Path, resumes: bool = False, size: int = 64
) -> None:
    """Run a command on disks that grow by half each time, and print a row of the table.

    Args:
        name: of the row.
        command: its last word is replaced by the output.
        out: name of the output, a file or a folder.
        folder: for scratch files.
        resumes: parts of the work may stay, since the same command goes on from them.
        size: kilobytes of the first disk.
    """
    expected = folder / "expected" / out
    expected.parent.mkdir(exist_ok=True)
    subprocess.run([*command, str(expected)], check=True, capture_output=True)
    disk, ended, clear, incomplete = folder / "disk", 0, 0, 0
    with small_disk(disk, size):
        while True:
            done = subprocess.run([*command, str(disk / out)], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
            ended += 1
            told = done.stderr.strip().splitlines() or [""]
            line = " ".join(part.strip() for part in told[-4:])
            clear += done.returncode == 1 and "No space left" in line and "Traceback" not in done.stderr
            final = {path for path in names(disk) if not re.search(r"\.tmp|staging|\.part", path)}
            incomplete += bool(final) and not resumes and (disk / out).is_file()
            size = size * 3 // 2
            subprocess.run(["mount", "-o", f"remount,size={size}k", disk], check=True)
            if size > LARGEST:
                print(f"| {name} | given up at {size} kB | {line} |")
                return
        found = names(disk / out) if (disk / out).is_dir() else {out}
        wanted = names(expected) if expected.is_dir() else {out}
    disk.rmdir()
    end = "complete" if found == wanted and not incomplete else f"INCOMPLETE {sorted(wanted ^ found)}"
    print(f"| {name} | {ended} runs ended, {clear} with exit status 1 and the reason | {end} |")


def uploads(folder: Path) -> None:
    """Send the local page more than its disk holds, and print a row of the table."""
    disk = folder / "uploads"
    with small_disk(disk, 256):
        server = subprocess.Popen(
            [*ATOMSIGHT, "serve", "--no-browser", "--port", "0"],
            env={**os.environ, "TMPDIR": str(disk)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert server.stdout is not None
            address = ""
            while not address:
                line = server.stdout.readline()
                address = next(iter(re.findall(r"http://[^ ]+", line)), "")
                if not line:
                    sys.exit("the page did not start")
            answers = [send(address, 2**19), send(address, 1000)]
            with urllib.request.urlopen(f"{address}api/about") as answer:
                alive = answer.status == 200
        finally:
            server.terminate()
            server.wait(30)
    print(f"| upload to the page | {answers[0]}; then a small one: {answers[1]} | alive: {alive} |")


def send(address: str, size: int) -> str:
    """Send one file; return the status and the reason for which it was not stored."""
    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.cif"\r\n\r\n'
    body += b"#" * size + b"\r\n--b--\r\n"
    request = urllib.request.Request(
        f"{address}api/uploads", body, {"Content-Type": "multipart/form-data; boundary=b"}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return f"{answer.status} {json.load(answer).get('skipped')}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {json.load(error)['detail']}"


def main() -> None:
    """Print the table."""
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| command | disk too small | at the end |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = folder / "dataset"
        build = [*ATOMSIGHT, "dataset", "build", str(EXAMPLES), "--out"]
        subprocess.run([*build, str(dataset)], check=True, capture_output=True)
        grow("`dataset build`", build, "d", folder, resumes=True)
        evaluate = [*ATOMSIGHT, "evaluate", "default", str(dataset), "--split", "all", "--out"]
        grow("`evaluate --out`", evaluate, "e", folder, resumes=True)
        grow("`report --out`", [*ATOMSIGHT, "report", str(dataset), "--out"], "r.html", folder)
        grow("`rank --out`", [*ATOMSIGHT, "rank", str(EXAMPLES), "--out"], "o.csv", folder, size=8)
        uploads(folder)


if __name__ == "__main__":
    main()
