"""Hostile and broken files, read in a child process under a limit of time and memory.

    python benchmarks/reliability/hostile.py [--only WORD] [--seconds 30] [--memory 2000]

Makes the files in a temporary folder and prints a Markdown table. A file fails when its reading raises an
error, ends the process, passes a limit, or yields neither a crystal nor a reason; the exit status is then 1.
The child reads a sound CIF first, so that compiling counts for nothing, and starts anew after a failure.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import lzma
import random
import resource
import select
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

DATA = Path(__file__).parents[2] / "tests" / "data"
CIF = (DATA / "halite.cif").read_bytes()
POSCAR = "salt\n1.0\n5.6 0 0\n0 5.6 0\n0 0 5.6\nNa Cl\n{counts}\nDirect\n0 0 0\n0.5 0.5 0.5\n"
EXTXYZ = 'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3'
FRAME = f"1\n{EXTXYZ}\nSi 0 0 0\n"

Files = Iterator[tuple[str, bytes]]


def poscars() -> Files:
    """Counts that are none, and numbers that are none."""
    for counts in ("-1 3", "100000000 -99999998", "1e9 1", "nan 1", "inf 1", "1.5 0.5", "9" * 5000, "0 0"):
        yield f"counts {counts[:20]}.poscar", POSCAR.format(counts=counts).encode()
    for word in ("nan", "inf", "1e308", "-1e308", "1e-320", "9" * 400, "x"):
        yield f"cell {word[:10]}.poscar", POSCAR.format(counts="1 1").replace("5.6", word, 1).encode()
        yield f"position {word[:10]}.poscar", POSCAR.format(counts="1 1").replace("0.5", word, 1).encode()
        yield f"scale {word[:10]}.poscar", POSCAR.format(counts="1 1").replace("1.0", word, 1).encode()
    yield "cut.poscar", POSCAR.encode()[:30]


def frames() -> Files:
    """Extended XYZ that announces what it does not hold."""
    yield "digits.extxyz", b"9" * 5000 + b"\n\nH 0 0 0\n"
    yield "many atoms.extxyz", f"999999999\n{EXTXYZ}\nSi 0 0 0\n".encode()
    yield "superscript.extxyz", f"²\n{EXTXYZ}\nSi 0 0 0\n".encode()
    yield "negative.extxyz", f"-1\n{EXTXYZ}\nSi 0 0 0\n".encode()
    for width in ("1000000000", "99999", "-1", "nan", "9" * 5000):
        comment = f"{EXTXYZ}:forces:R:{width}"
        yield f"width {width[:10]}.extxyz", f"1\n{comment}\nSi 0 0 0 0 0 0\n".encode()
    yield "long comment.extxyz", b"1\n" + b"a=1 " * 500_000 + b"\nSi 0 0 0\n"
    yield "nested comment.extxyz", b"1\na=" + b"[" * 100_000 + b"\nSi 0 0 0\n"
    yield "newlines.xyz.gz", gzip.compress(b"\n" * 300_000_000, 1)
    yield "newlines in a frame.xyz.gz", gzip.compress(b"60000000\n" + b"\n" * 100_000_000, 1)
    yield "empty frames.xyz.gz", gzip.compress(b"0\n\n" * 50_000)
    yield "long line.xyz.gz", gzip.compress(b"1\n\n" + b"x" * 300_000_000, 1)
    yield "sound then broken.extxyz", (FRAME * 3 + "seven\n").encode()
    yield "cell nan.extxyz", FRAME.replace("4 0 0", "nan 0 0", 1).encode()
    yield "cell short.extxyz", FRAME.replace("4 0 0 0", "4", 1).encode()


def cifs() -> Files:
    """CIFs that are long, deep, or no text."""
    blocks = b"".join(b"data_b%d\n_cell_length_a 5\n" % i for i in range(200_000))
    yield "200000 blocks.cif", blocks
    atoms = b"loop_\n_ATOM_SITE_LABEL\n_ATOM_SITE_FRACT_X\nC1 0.1\n"
    few = b"".join(b"data_b%d\n%s" % (i, atoms) for i in range(20_000))
    yield "20000 blocks with atoms.cif", few + b"#" * 30_000_000
    yield "one name.cif", b"data_b\n_cell_length_a 5\n" * 100_000
    yield "many loops.cif", b"data_x\n" + b"".join(b"loop_\n_a%d\n1\n" % i for i in range(100_000))
    yield "many tags.cif", b"data_x\n" + b"".join(b"_a%d 1\n" % i for i in range(300_000))
    yield "open quote.cif", b"data_x\n_a '" + b"x" * 10_000_000
    yield "text fields.cif", b"data_x\n" + b"\n;" * 3_000_000
    yield "unquoted.cif", b"data_x\n_a " + b"b " * 3_000_000
    yield "save frames.cif", b"data_x\n" + b"save_a\n" * 200_000
    yield "utf-16.cif", CIF.decode().encode("utf-16")
    yield "utf-16 without mark.cif", CIF.decode().encode("utf-16-le")
    yield "utf-32.cif", CIF.decode().encode("utf-32")
    yield "nulls.cif", b"\0" * 1_000_000
    yield "noise.cif", random.Random(0).randbytes(200_000)
    yield "empty.cif", b""
    yield "newlines.cif.gz", gzip.compress(b"\n" * 300_000_000, 1)
    for word in (b"nan", b"inf", b"1e308", b"-5", b"0", b"9" * 5000, b"?", b"5.6(999999999999)"):
        yield f"cell {word[:10].decode()}.cif", CIF.replace(b"5.6", word, 1)
    rng = random.Random(1)
    for number in range(40):
        data = bytearray(CIF)
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(len(data))
            change = rng.randrange(3)
            if change == 0:
                data[at] = rng.randrange(256)
            elif change == 1:
                del data[at : at + rng.randint(1, 100)]
            else:
                data[at:at] = rng.choice([b"loop_\n", b"\n;", b"'", b"1e308", b"nan", b"\0", b"data_y\n"])
        yield f"changed {number}.cif", bytes(data)


def others() -> Files:
    """SHELX, ASE's files, and names that lie about what is inside."""
    yield "numbers.res", b"TITL\nCELL 0.7 5 5 5 90 90 90\nLATT 1e400\nSFAC C\nC1 1 0 0 0 11\n"
    yield "types.res", b"CELL 0.7 5 5 5 90 90 90\nSFAC C\nC1 99999999999 0 0 0 11\n"
    yield "variables.res", b"CELL 0.7 5 5 5 90 90 90\nSFAC C\nC1 1 1e300 nan inf 991\nHKLF 4\n"
    yield (
        "symmetry.res",
        b"CELL 0.7 5 5 5 90 90 90\n" + b"SYMM x+1/7,y,z\n" * 20_000 + b"SFAC C\nC1 1 0 0 0\n",
    )
    yield "continued.res", b"CELL =\n" * 200_000
    yield "noise.db", random.Random(2).randbytes(10_000)
    yield "noise.traj", random.Random(3).randbytes(10_000)
    yield "cut.traj", b"- of Ulm" + b"\0" * 40
    yield "cif.xyz", CIF
    yield "gzip.cif", gzip.compress(CIF)
    yield "noise.cif.gz", b"\x1f\x8b" + random.Random(4).randbytes(1000)
    yield "cut.cif.gz", gzip.compress(CIF * 50)[:-200]


def _tar(entries: list[tuple[tarfile.TarInfo, bytes]], pack: Callable[[bytes], bytes] = bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in entries:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return pack(buffer.getvalue())


def _shared_zip(count: int, data: bytes) -> bytes:
    """A zip whose entries all point at the content of one."""
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = packed.compress(data) + packed.flush()
    crc, name = zlib.crc32(data), b"a.cif"
    fixed = b"\x14\0\0\0\x08\0\0\0\0\0"
    sizes = b"".join(n.to_bytes(4, "little") for n in (crc, len(content), len(data)))
    local = b"PK\x03\x04" + fixed + sizes + len(name).to_bytes(2, "little") + b"\0\0" + name + content
    entry = b"PK\x01\x02\x14\0" + fixed + sizes + len(name).to_bytes(2, "little") + b"\0" * 16 + name
    total = entry * count
    end = b"PK\x05\x06\0\0\0\0" + count.to_bytes(2, "little") * 2
    return local + total + end + len(total).to_bytes(4, "little") + len(local).to_bytes(4, "little") + b"\0\0"


def archives() -> Files:
    """Archives that claim, repeat, hide or point elsewhere."""
    info = tarfile.TarInfo("a.cif")
    info.size = 10**17
    yield "claims 1e17.tar", info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1000
    yield "claims 1e17.tar.gz", gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1000)
    info = tarfile.TarInfo("a.cif")
    info.pax_headers = {"size": str(10**17)}
    yield "claims in pax.tar", info.tobuf(tarfile.PAX_FORMAT) + b"\0" * 1024
    info.pax_headers = {"size": "-1024"}
    yield "negative size.tar", info.tobuf(tarfile.PAX_FORMAT) + b"\0" * 1024
    yield "zeros.tar.xz", lzma.compress(_tar([(tarfile.TarInfo("a.cif"), b"\0" * 300_000_000)]), preset=0)
    many = b"".join(tarfile.TarInfo(f"{i}.cif").tobuf(tarfile.GNU_FORMAT) for i in range(30_000))
    yield "empty members.tar.xz", lzma.compress(many, preset=0)
    bomb = gzip.compress(b" " * 60_000_000, 9)
    yield "bombs.tar", _tar([(tarfile.TarInfo(f"{i}.cif.gz"), bomb) for i in range(100)])
    yield "shared.zip", _shared_zip(2000, b" " * 50_000_000)
    yield "60000 shared.zip", _shared_zip(60_000, b" " * 50_000_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for i in range(20):
            archive.writestr(f"{i}.cif", b" " * 60_000_000)
    yield "bombs.zip", packed.getvalue()
    inner = _tar([(tarfile.TarInfo("a.cif"), CIF)])
    yield "nested.tar", _tar([(tarfile.TarInfo("b.tar"), inner), (tarfile.TarInfo("c.cif"), CIF)])
    away = [tarfile.TarInfo(name) for name in ("../a.cif", "/etc/b.cif", "C:/c.cif", "d/../../e.cif")]
    for kind, name in (
        (tarfile.SYMTYPE, "link.cif"),
        (tarfile.LNKTYPE, "hard.cif"),
        (tarfile.FIFOTYPE, "f.cif"),
    ):
        link = tarfile.TarInfo(name)
        link.type, link.linkname = kind, "/etc/passwd"
        away.append(link)
    yield "outside.tar", _tar([(one, b"") for one in away])
    yield "cut.tar.xz", lzma.compress(_tar([(tarfile.TarInfo(f"{i}.cif"), CIF) for i in range(50)]))[:300]
    yield "cut.zip", packed.getvalue()[:5000]
    yield "cif.zip", CIF
    yield "noise.tar.gz", b"\x1f\x8b" + random.Random(5).randbytes(5000)
    rng = random.Random(6)
    for number in range(20):
        data = bytearray(_tar([(tarfile.TarInfo(f"{i}.cif"), CIF) for i in range(3)]))
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(2000)] = rng.randrange(256)
        yield f"changed {number}.tar", bytes(data)


def answers() -> Files:
    """Entries of OPTIMADE of the wrong shape, as members; the server's side is in tests/readers."""
    cell = {"lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 0, 4]], "cartesian_site_positions": [[0, 0, 0]]}
    good = {**cell, "species_at_sites": ["Si"], "species": [{"name": "Si", "chemical_symbols": ["Si"]}]}
    for key in good:
        for number, wrong in enumerate((None, 7, "x", {}, [], [None], [[]], {"a": 1}, [[1e308] * 3] * 3)):
            yield (
                f"{key} {number}.optimade",
                json.dumps({"id": "x", "attributes": {**good, key: wrong}}).encode(),
            )
    for number, wrong in enumerate((None, 7, "x", [], [1])):
        yield f"attributes {number}.optimade", json.dumps({"id": "x", "attributes": wrong}).encode()
    yield "deep.optimade", b'{"attributes":' + b"[" * 200_000


GROUPS: dict[str, Callable[[], Files]] = {
    "POSCAR": poscars,
    "extended XYZ": frames,
    "CIF": cifs,
    "other files": others,
    "archives": archives,
    "OPTIMADE entries": answers,
}

_CHILD = """
import collections, json, resource, sys, time, traceback
import atomsight
from atomsight.io import Member, crystals_of
list(atomsight.read(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    path, rules, n = line[:-1], collections.Counter(), 0
    def told(source, reason):
        rules[reason.rule] += 1
    begin, error = time.perf_counter(), ""
    try:
        if path.endswith(".optimade"):
            n = len(crystals_of(Member("x", path, open(path, "rb").read(), "optimade"), on_skip=told))
        else:
            for crystal in atomsight.read(path, on_skip=told):
                n += 1
    except Exception:
        error = traceback.format_exc().strip().splitlines()[-1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(json.dumps([n, rules, error, time.perf_counter() - begin, peak]), flush=True)
"""


class Reader:
    """A process that reads one file after another; a fresh one takes its place when it dies or is ended.

    Args:
        seconds: limit for one file.
        memory: limit for the process, MB.
    """

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds = seconds
        self._memory = memory << 20
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, path: Path) -> tuple[str, float, int]:
        """What came of a file, seconds, and the most megabytes that the process ever held."""
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        answer = self._answer(process, self._seconds)
        if not answer:
            slow = process.poll() is None
            process.kill()
            process.wait()
            self._process = None
            end = f"more than {self._seconds:g} s" if slow else f"status {process.returncode}"
            return f"FAILED: {end}", self._seconds if slow else 0.0, 0
        n, rules, error, took, peak = json.loads(answer)
        if error:
            return f"FAILED: {error[:100]}", took, peak
        if not n and not rules:
            return "FAILED: neither a crystal nor a reason", took, peak
        told = [f"{rule} {count}" if count > 1 else rule for rule, count in rules.items()]
        return "; ".join([f"{n} read"] * bool(n) + told), took, peak

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[str]:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_DATA, (self._memory, self._memory))

        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(DATA / "halite.cif")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=limit,
        )
        if self._answer(self._process, 600) != "ready\n":
            sys.exit("the process that reads did not start")
        return self._process

    @staticmethod
    def _answer(process: subprocess.Popen[str], seconds: float) -> str:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        return process.stdout.readline() if ready else ""


def main() -> None:
    """Make the files, read each, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="files whose group or name holds this")
    parser.add_argument("--seconds", type=float, default=30, help="limit for one file")
    parser.add_argument("--memory", type=int, default=2000, help="limit for one process, MB")
    options = parser.parse_args()
    rows = []
    reader = Reader(options.seconds, options.memory)
    with tempfile.TemporaryDirectory() as folder:
        for group, make in GROUPS.items():
            for name, data in make():
                if options.only not in f"{group}/{name}":
                    continue
                path = Path(folder, name.replace("/", "_"))
                path.write_bytes(data)
                rows.append((group, path.name, *reader(path)))
                path.unlink()
                print(*rows[-1], sep=", ", file=sys.stderr, flush=True)
    reader.close()
    print("| group | files | failed | slowest, s | which | peak, MB |\n|---|---|---|---|---|---|")
    for group in GROUPS:
        own = [row for row in rows if row[0] == group]
        if own:
            slowest = max(own, key=lambda row: row[3])
            failed = sum(row[2].startswith("FAILED") for row in own)
            peak = max(row[4] for row in own)
            print(f"| {group} | {len(own)} | {failed} | {slowest[3]:.1f} | {slowest[1]} | {peak} |")
    bad = [row for row in rows if row[2].startswith("FAILED")]
    for group, name, outcome, *_ in bad:
        print(f"\n{group}/{name}: {outcome}")
    print(f"\n{len(rows)} files, {len(bad)} failed; limits {options.seconds:g} s, {options.memory} MB")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
