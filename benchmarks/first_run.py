"""How long a verb takes on its first run, when nothing is compiled yet, and on later runs.

    python benchmarks/first_run.py [--before CHECKOUT] [--out FILE.csv] [--verbs neighbours predict ...]

Each verb runs on examples/ibuprofen.cif with an empty NUMBA_CACHE_DIR, and then once more. A table is
printed; the CSV beside it holds the same rows. With --before another checkout is measured by turns.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

HERE = Path(__file__).parents[1]
CIF = str(HERE / "examples" / "ibuprofen.cif")
VERBS = {
    "neighbours": ["neighbours", CIF, "-k", "16"],
    "predict": ["predict", CIF],
    "check": ["check", CIF],
    "rank": ["rank", CIF, CIF],
}
CODE = """
import sys
from atomsight.cli.main import run
try:
    run()
finally:
    count = 0
    if "numba" in sys.modules:
        from numba.core.dispatcher import Dispatcher
        import gc
        count = sum(sum(d.stats.cache_misses.values()) for d in gc.get_objects() if isinstance(d, Dispatcher))
    print("COMPILED", count, file=sys.stderr)
"""


def measure(checkout: Path, verb: str, cache: str) -> tuple[float, float, int]:
    """Processor seconds, seconds on the clock, and kernels compiled."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(checkout / "src")}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CODE, *VERBS[verb]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{verb} failed:\n{done.stderr}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, wall, int(done.stderr.split("COMPILED")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--before", type=Path, help="another checkout to measure side by side")
    parser.add_argument("--out", type=Path, default=Path("first_run.csv"), help="the CSV")
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=list(VERBS), help="only these")
    options = parser.parse_args()

    checkouts = {"now": HERE} | ({"before": options.before} if options.before else {})
    heads = ("verb", "checkout", "run", "processor, s", "clock, s", "compiled")
    rows = []
    for verb in options.verbs:
        for name, checkout in checkouts.items():
            with tempfile.TemporaryDirectory() as cache:
                for run in ("first", "second"):
                    used, wall, compiled = measure(checkout, verb, cache)
                    rows.append((verb, name, run, f"{used:.1f}", f"{wall:.1f}", compiled))
                    print(*rows[-1], file=sys.stderr)
    print(f"{date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores\n")
    print("| " + " | ".join(heads) + " |", "|---|---|---|---:|---:|---:|", sep="\n")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    with options.out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heads, *rows])


if __name__ == "__main__":
    main()
