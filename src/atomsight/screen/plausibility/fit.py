"""Train the plausibility network and export it.

    python -m atomsight.screen.plausibility.fit DATASET --small ARCHIVE ... --large ARCHIVE ... --out RUN

Crystals of the dataset's ``train`` split are read again from the archives: `--small` are inorganic cells,
which serve each other as templates, `--large` are frameworks. Formulas named by `--leave-out`, one a line,
are kept out with all that shares their chemical systems. The run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from atomsight.models.export import write_model
from atomsight.models.masked_site.graph import masked_site_graph
from atomsight.models.masked_site.network import MaskedSiteNetwork
from atomsight.models.masked_site.training import compiler_found
from atomsight.screen.plausibility.examples import Examples, bank_of, examples_of, split_crystals
from atomsight.screen.plausibility.runtime import POOL
from atomsight.screen.volume import element_counts, fit_volumes

K = 16
LAYERS = 3
HIDDEN = 96
ANGULAR = 16
"""Channels kept apart by direction; 0 makes the network of distances alone."""
SITES_PER_STEP = 3000
STRAIN = 0.02
"""Deviation of the isotropic strain that real crystals and decoys get: candidates are not relaxed."""
NOISE = 0.03
"""Å; largest deviation of the noise on the way to each neighbour, along each axis. Small shifts are no reason
to call a crystal false."""
REDECORATED = 2
"""Structures a group with the real geometry and another formula's elements."""
RATE = 2e-3
DROPPED = 0.1
LARGE_SHARE = 0.5
"""Share of the frameworks that an epoch visits: they have ten times the sites of inorganic cells."""


def prepare(
    dataset: Path, small: list[Path], large: list[Path], most: int, leave_out: list[str], seed: int
) -> tuple[Examples, NDArray[np.float64], dict[str, int]]:
    """Examples from archives, and the volumes of the elements."""
    generator = np.random.default_rng(seed)
    inorganic = [
        crystal for crystal in split_crystals(dataset, small, "train", leave_out) if crystal.n_atoms <= 80
    ]
    volumes = fit_volumes(element_counts(inorganic), np.array([crystal.volume for crystal in inorganic]))
    frameworks = [
        crystal
        for crystal in split_crystals(dataset, large, "train", leave_out, most, seed)
        if crystal.n_sites <= 300
    ]
    first = examples_of(inorganic, bank_of(inorganic), volumes, K, generator)
    if frameworks:
        first = joined(first, examples_of(frameworks, {}, volumes, K, generator))
    return first, volumes, {"small": len(inorganic), "large": len(frameworks)}


def joined(one: Examples, other: Examples) -> Examples:
    """The examples of two sets one after another."""
    shift = {"structure": len(one.real), "group": int(one.group[-1]) + 1}
    return Examples(
        **{
            name: np.concatenate([value, getattr(other, name) + shift.get(name, value.dtype.type(0))])
            if name in shift
            else np.concatenate([value, getattr(other, name)])
            for name, value in vars(one).items()
        }
    )


def batches(examples: Examples, generator: np.random.Generator) -> Iterator[dict[str, Tensor]]:
    """One pass over all groups in random order, some together, strained and with noise."""
    structures = np.searchsorted(examples.structure, np.arange(len(examples.real) + 1))
    groups = np.searchsorted(examples.group, np.arange(int(examples.group[-1]) + 2))
    donors = _donors(examples, structures, groups)
    held: list[tuple[int, NDArray[np.uint8] | None, int]] = []
    sites = number = 0
    for group in generator.permutation(len(groups) - 1):
        first, last = groups[group], groups[group + 1]
        if not examples.small[first] and generator.random() > LARGE_SHARE:
            continue
        held += [(s, None, number) for s in range(first, last)]
        sites += structures[last] - structures[first]
        for elements in donors.draw(group, generator):
            held.append((first, elements, number))
            sites += len(elements)
        number += 1
        if sites >= SITES_PER_STEP:
            yield _batch(examples, structures, held, generator)
            held, sites, number = [], 0, 0
    if held:
        yield _batch(examples, structures, held, generator)


class _donors:
    """Elements of other formulas with the same stoichiometry, for the geometry of a real crystal."""

    def __init__(self, examples: Examples, structures: NDArray, groups: NDArray) -> None:
        self.of_group: list[tuple[tuple[int, ...], NDArray, NDArray] | None] = []
        self.palette: dict[tuple[int, ...], list[NDArray]] = {}
        for group in range(len(groups) - 1):
            first = groups[group]
            if not examples.small[first]:
                self.of_group.append(None)
                continue
            rows = slice(structures[first], structures[first + 1])
            element, weight = examples.element[rows], examples.weight[rows]
            kinds, place = np.unique(element, return_inverse=True)
            share = np.bincount(place, weight)
            units = np.rint(share / share.min() * 12).astype(int)
            order = np.lexsort((kinds, units))
            key = tuple((units[order]).tolist())
            self.palette.setdefault(key, []).append(kinds[order])
            self.of_group.append((key, kinds[order], element))

    def draw(self, group: int, generator: np.random.Generator) -> list[NDArray[np.uint8]]:
        entry = self.of_group[group]
        if entry is None:
            return []
        key, kinds, element = entry
        choices = self.palette[key]
        answer = []
        for _ in range(REDECORATED):
            other = choices[generator.integers(len(choices))]
            if set(other.tolist()) != set(kinds.tolist()):
                table = np.zeros(128, np.uint8)
                table[kinds] = other
                answer.append(table[element])
        return answer


def _batch(
    examples: Examples,
    structures: NDArray[np.int64],
    held: list[tuple[int, NDArray[np.uint8] | None, int]],
    generator: np.random.Generator,
) -> dict[str, Tensor]:
    rows = [np.arange(structures[s], structures[s + 1]) for s, _, _ in held]
    sizes = np.array([len(r) for r in rows])
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    at = np.concatenate(rows)
    distances = examples.distances[at]
    owner = np.repeat(np.arange(len(held)), sizes)
    stretch = np.exp(generator.normal(0, STRAIN, len(held)))[owner, None]
    noise = (NOISE * generator.random(len(held)) ** 2)[owner, None, None]
    straight = examples.directions[at].astype(np.float32)
    straight /= np.maximum(np.linalg.norm(straight, axis=-1, keepdims=True), 1e-6)
    ways = (distances * stretch)[..., None] * straight + noise * generator.normal(size=straight.shape)
    distances = np.linalg.norm(ways, axis=-1)
    ways /= np.maximum(distances, 1e-6)[..., None]
    order = np.argsort(distances, axis=1, kind="stable")
    neighbours = examples.neighbours[at] + begins[owner, None]
    element = np.concatenate(
        [examples.element[r] if e is None else e for r, (_, e, _) in zip(rows, held, strict=True)]
    )
    return {
        "distances": torch.from_numpy(np.take_along_axis(distances, order, 1).astype(np.float32)),
        "neighbours": torch.from_numpy(np.take_along_axis(neighbours, order, 1).astype(np.int64)),
        "directions": torch.from_numpy(np.take_along_axis(ways, order[..., None], 1).astype(np.float32)),
        "element": torch.from_numpy(element.astype(np.int64)),
        "weight": torch.from_numpy(examples.weight[at]),
        "structure": torch.from_numpy(owner),
        "group": torch.tensor([g for _, _, g in held]),
        "real": torch.tensor([e is None and bool(examples.real[s]) for s, e, _ in held]),
    }


def pooled(logits: Tensor, weight: Tensor, structure: Tensor, structures: int) -> Tensor:
    """(s,) logit of each structure, as `runtime.crystal_logits`."""
    mean = torch.zeros(structures).index_add(0, structure, weight * logits)
    power = torch.zeros(structures).index_add(
        0, structure, weight * torch.exp((-logits / POOL).clamp(max=30))
    )
    return 0.5 * (mean - POOL * power.log())


def loss_of(forward: Callable[..., Tensor], batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean loss, and in how many groups the real crystal is first."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = forward(batch["distances"], batch["neighbours"], batch["element"], batch["directions"])[:, 0]
    score = pooled(logits.float(), batch["weight"], batch["structure"], len(batch["group"]))
    groups, real = batch["group"], batch["real"]
    count = int(groups[-1]) + 1
    top = torch.full((count,), -math.inf).scatter_reduce(0, groups, score.detach(), "amax")
    total = torch.zeros(count).index_add(0, groups, torch.exp(score - top[groups]))
    chosen = torch.zeros(count).index_add(0, groups[real], score[real])
    contrast = (total.log() + top - chosen).mean()
    balance = torch.where(real, 4.0, 1.0)
    absolute = binary_cross_entropy_with_logits(score, real.float(), weight=balance)
    return contrast + 0.5 * absolute, (chosen >= top).float().mean()


def train(
    examples: Examples, out: Path, epochs: int, seed: int, minutes: float, angular: int = ANGULAR
) -> nn.Module | None:
    """Train, or go on; None where the time is up before the end."""
    torch.manual_seed(seed)
    network = MaskedSiteNetwork(K, 1, HIDDEN, angular=angular, dropped=DROPPED)
    network.layers = network.layers[:LAYERS]
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    steps = sum(1 for _ in batches(examples, np.random.default_rng(seed)))
    total = max(1, epochs * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: min(1, i / 300) * 0.5 * (1 + math.cos(math.pi * min(1, i / total)))
    )
    checkpoint, begin = out / "last.pt", 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        begin = state["epoch"]
    forward = torch.compile(network, dynamic=True) if compiler_found() else network
    started = time.monotonic()
    for epoch in range(begin, epochs):
        losses, firsts, began = [], [], time.monotonic()
        for batch in batches(examples, np.random.default_rng([seed, epoch])):
            loss, first = loss_of(forward, batch)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            firsts.append(first.item())
            if len(losses) % 100 == 0:
                print(
                    f"  {len(losses)}/{steps} {np.mean(losses[-100:]):.4f} {np.mean(firsts[-100:]):.3f}",
                    flush=True,
                )
        spent = time.monotonic() - began
        print(
            f"epoch {epoch + 1}: loss {np.mean(losses):.4f} first {np.mean(firsts):.3f} {spent:.0f} s",
            flush=True,
        )
        state = {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "epoch": epoch + 1,
        }
        torch.save(state, checkpoint)
        export(network, out / "plausibility.onnx", {"epochs": epoch + 1})
        if epoch + 1 < epochs and time.monotonic() - started + 1.1 * spent > 60 * minutes:
            return None
    return network


def export(network: nn.Module, path: Path, metadata: dict[str, object]) -> None:
    """Write the network as ONNX; its output are the logits of the sites."""
    from onnx import TensorProto, helper

    weights = {name: t.detach().numpy() for name, t in network.state_dict().items()}
    graph = masked_site_graph(weights, K, 1.0)
    del graph.node[-1]  # the softmax over the elements
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["sites", 1]))
    write_model(graph, {"kind": "plausibility", "k": str(K), "elements": "all", **metadata}, path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--small", type=Path, nargs="+", required=True)
    parser.add_argument("--large", type=Path, nargs="*", default=[])
    parser.add_argument("--most", type=int, default=1500, help="frameworks of each archive")
    parser.add_argument("--leave-out", type=Path, help="file of formulas, one a line")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=7.5, help="stop after the epoch that would overrun")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--angular", type=int, default=ANGULAR, help="channels by direction; 0 sees distances"
    )
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    prepared = given.out / "examples.npz"
    if not prepared.is_file():
        left = given.leave_out.read_text().split() if given.leave_out else []
        examples, volumes, counts = prepare(
            given.dataset, given.small, given.large, given.most, left, given.seed
        )
        examples.save(prepared)
        np.savetxt(given.out / "volumes.txt", volumes, fmt="%.3f")
        (given.out / "counts.json").write_text(json.dumps(counts))
        print(counts, len(examples.real), "structures", len(examples.element), "sites")
    done = train(Examples.load(prepared), given.out, given.epochs, given.seed, given.minutes, given.angular)
    print("done" if done is not None else "time is up: run the same command to go on")


if __name__ == "__main__":
    main()
