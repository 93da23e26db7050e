"""Seconds a training step of the masked-site network takes in half and in full precision, by turns.

    python benchmarks/half_precision.py [--steps 5] [--rounds 2]

One thread of the CPU, the network compiled, 1,024 sites with random neighbours. Says beside it which of the
two `atomsight train` takes here (`models.masked_site.training.half_pays`).
"""

from __future__ import annotations

import argparse
import platform
import time
from datetime import date

import torch
from torch.nn.functional import cross_entropy, normalize

from atomsight.training.masked_site.network import MaskedSiteNetwork
from atomsight.training.masked_site.training import ROWS_OF_STEP, half_pays

K, ELEMENTS = 24, 88


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = MaskedSiteNetwork(K, ELEMENTS)
    forward = torch.compile(network, dynamic=True)
    optimiser = torch.optim.AdamW(network.parameters())
    n = ROWS_OF_STEP
    element = torch.randint(1, ELEMENTS, (n,))
    distances = (1 + 4 * torch.rand(n, K)).sort(1).values
    neighbours, directions = torch.randint(n, (n, K)), normalize(torch.randn(n, K, 3), dim=-1)

    def step(half: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = forward(distances, neighbours, element, directions).float()
        optimiser.zero_grad()
        cross_entropy(logits, element).backward()
        optimiser.step()

    best = {True: float("inf"), False: float("inf")}
    for half in best:
        step(half)  # compiles
        step(half)
    for _ in range(given.rounds):
        for half in best:
            begun = time.process_time()
            for _ in range(given.steps):
                step(half)
            best[half] = min(best[half], (time.process_time() - begun) / given.steps)
    print(f"{date.today()}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}\n")
    print("| half precision | full precision | taken |\n|---|---|---|")
    print(f"| {best[True]:.2f} s | {best[False]:.2f} s | {'half' if half_pays() else 'full'} |")


if __name__ == "__main__":
    main()
