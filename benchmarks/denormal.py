"""Sites a second of the bundled networks, denormal numbers taken as zero and not, by turns in one process.

    python benchmarks/denormal.py DATASET [--sites 8000] [--rounds 3]

One thread, processor time, the best of the rounds; without the search for neighbours.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import time
from datetime import date

import numpy as np

from atomsight import load_model
from atomsight.dataset import open_dataset
from atomsight.models.onnx import session
from atomsight.models.onnx.floats import flushed


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--sites", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    columns = ("distances", "directions", "neighbours", "site")
    dataset = open_dataset(given.dataset)
    batch = next(dataset.batches(columns, split="test", whole_crystals=True, batch_size=given.sites))
    print(f"{date.today()}, {platform.machine()}; {len(batch['site']):,} sites\n")
    print("| model | as they are | taken as zero | largest difference |\n|---|---|---|---|")
    for name in ("masked-site", "masked-site-angles", "masked-site-angles-2"):
        model = load_model(name, threads=1)
        rates = {True: 0.0, False: 0.0}
        answers = {}
        for _ in range(given.rounds):
            for flush in rates:
                session.flushed = flushed if flush else contextlib.nullcontext
                begun = time.process_time()
                answers[flush] = model.probabilities(batch)
                rates[flush] = max(rates[flush], len(batch["site"]) / (time.process_time() - begun))
        apart = np.abs(answers[True] - answers[False]).max()
        print(f"| {name} | {rates[False]:,.0f} | {rates[True]:,.0f} | {apart:.1g} |", flush=True)


if __name__ == "__main__":
    main()
