"""One process and two through Lightning's DDP: the same result within noise, and what it costs.

    python benchmarks/ddp.py DATASET [--devices 1 2] [--seeds 0 1] [-- OPTIONS OF atomsight train]

Runs `atomsight train DATASET` once for each number of processes and each seed, on CPUs (gloo), and prints
what val says. The scatter between seeds is the noise to compare with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date

from masked_site import print_row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    told, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(told.split())
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}\n")
    print_row(["processes", "seed", "accuracy", "macro recall", "log loss", "wall s"])
    print_row(["---"] * 6)
    for seed in arguments.seeds:
        for devices in arguments.devices:
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-m", "atomsight.cli.main", "train", arguments.dataset]
                command += ["--out", f"{folder}/run", "--seed", str(seed), "--devices", str(devices)]
                command += ["--threads", "1", "--json", *options.split()]
                begun = time.perf_counter()
                environment = {**os.environ, "OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
                if done.returncode:
                    sys.exit(done.stderr)
            val = json.loads(done.stdout.splitlines()[-1])["val"]
            figures = [f"{val[name]:.4f}" for name in ("accuracy", "macro_recall", "log_loss")]
            print_row([str(devices), str(seed), *figures, f"{time.perf_counter() - begun:.0f}"])


if __name__ == "__main__":
    main()
