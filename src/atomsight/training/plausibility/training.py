"""Train a plausibility network and export it.

    python -m atomsight.training.plausibility.training DATASET --small ARCHIVE ... [--large ARCHIVE ...] --out RUN

Crystals of the dataset's ``train`` split are read again from the archives: `--small` are inorganic cells,
which serve each other as templates, `--large` are frameworks. With `--unrelaxed` the network learns to judge
inorganic candidates that are not relaxed, from `--small` alone. Formulas named by `--leave-out`, one a line,
are kept out with all that shares their chemical systems. With `--from` the weights are those of an earlier
network, or the trunk of a masked-site model, which has learnt from more crystals what elements do where; its
size is that of the network then. With `--exchange` elements of the inorganic crystals give way to others
that stand for them in isotypic crystals, as a model with isotypes knows them (`exchange`). The run goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from atomsight.errors import AtomsightError, ModelError
from atomsight.models.plausibility.inference import POOL
from atomsight.training.export import write_model
from atomsight.training.masked_site.graph import masked_site_graph, weights_of
from atomsight.training.masked_site.network import DEGREES, MaskedSiteNetwork
from atomsight.training.masked_site.training import OWN, compiler_found, half_pays
from workshop.plausibility.exchange import OFTEN, Exchanges
from workshop.plausibility.unrelaxed import Unrelaxed
from workshop.plausibility.whole import LARGE_SHARE, Whole

K = 16
LAYERS = 3
HIDDEN = 96
ANGULAR = 16
"""Channels kept apart by direction; 0 makes the network of distances alone."""

RATE = 2e-3
WARM = 300
"""Steps in which the learning rate rises."""

DECAY = 0.01
DROPPED = 0.1
TINY = 1e-20


class Source(Protocol):
    """What a network learns from: `whole.Whole` or `unrelaxed.Unrelaxed`.

    Attributes:
        real_weight: of a real structure against a decoy, where each is judged by itself.
    """

    real_weight: float

    def batches(self, generator: np.random.Generator) -> Iterator[dict[str, Tensor]]:
        """The steps of one pass, see `batch.batch_of`."""


def pooled(logits: Tensor, weight: Tensor, structure: Tensor, structures: int) -> Tensor:
    """(s,) logit of each structure, as `runtime.crystal_logits`."""
    mean = torch.zeros(structures).index_add(0, structure, weight * logits)
    power = torch.zeros(structures).index_add(
        0, structure, weight * torch.exp((-logits / POOL).clamp(max=30))
    )
    return 0.5 * (mean - POOL * power.log())


def loss_of(
    forward: Callable[..., Tensor], batch: dict[str, Tensor], real_weight: float
) -> tuple[Tensor, Tensor]:
    """Mean loss, and in how many groups the crystal itself, which stands first, beats all decoys.

    The loss is that of naming each real structure among the decoys of its formula, and half of calling each
    structure real or not by itself.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=half_pays()):
        logits = forward(batch["distances"], batch["neighbours"], batch["element"], batch["directions"])[:, 0]
    score = pooled(logits.float(), batch["weight"], batch["structure"], len(batch["group"]))
    group, real = batch["group"], batch["real"]
    groups = int(group[-1]) + 1
    top = torch.full((groups,), -math.inf).scatter_reduce(0, group, score.detach(), "amax")
    relative = torch.exp(score - top[group])
    wrong = torch.zeros(groups).index_add(0, group[~real], relative[~real])
    owner = group[real]
    alike = torch.zeros(groups).index_add(0, owner, torch.ones(len(owner)))
    missed = torch.log1p(wrong[owner] / relative[real].clamp_min(TINY))
    contrast = (missed / alike[owner]).sum() / groups
    absolute = binary_cross_entropy_with_logits(
        score, real.float(), weight=torch.where(real, real_weight, 1.0)
    )
    worst = torch.full((groups,), -math.inf).scatter_reduce(0, group[~real], score.detach()[~real], "amax")
    first = torch.cat([torch.tensor([True]), group[1:] != group[:-1]])
    return contrast + 0.5 * absolute, (score.detach()[first] > worst).float().mean()


def train(
    source: Source,
    out: Path,
    epochs: int,
    seed: int,
    minutes: float,
    angular: int | None = None,
    rate: float = RATE,
    begin_with: str | Path | None = None,
) -> nn.Module | None:
    """Train, or go on; None where the time is up before the end. ``angular`` and ``begin_with`` as in
    `network_from`."""
    torch.manual_seed(seed)
    if begin_with is None:
        network = network_of(ANGULAR if angular is None else angular)
    else:
        network = network_from(begin_with, angular)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=DECAY)
    steps = sum(1 for _ in source.batches(np.random.default_rng(seed)))
    total = max(1, epochs * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: min(1, i / WARM) * 0.5 * (1 + math.cos(math.pi * min(1, i / total)))
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
        for batch in source.batches(np.random.default_rng([seed, epoch])):
            loss, first = loss_of(forward, batch, source.real_weight)
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


def network_of(angular: int, hidden: int = HIDDEN, layers: int = LAYERS) -> MaskedSiteNetwork:
    """A network with random weights."""
    network = MaskedSiteNetwork(K, 1, hidden, angular=angular, dropped=DROPPED)
    if layers > len(network.layers):
        raise ModelError(f"the network has {layers} layers, more than {len(network.layers)}")
    network.layers = network.layers[:layers]
    return network


def network_from(model: str | Path, angular: int | None = None, judging: bool = False) -> MaskedSiteNetwork:
    """A network of the size and with the weights of another. Where that one names elements, the last layer is
    a new one: its logit is of another kind.

    Args:
        model: file that `export` wrote, or name, run folder or file of a masked-site model.
        angular: channels by direction that it is to have; None takes any.
        judging: refuse one that names elements.

    Raises:
        ModelError: it is built otherwise.
    """
    import onnx

    from atomsight.models.load import model_file

    other = ModelError(f"{model} holds another kind of network")
    graph = onnx.load(model_file(model)).graph
    weights = weights_of({one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}, 1.0)
    if not {"element.weight", "out.bias"} <= weights.keys():
        raise other
    layers = sum(name.endswith(".message.weight") for name in weights)
    turned = weights.get("layers.0.angle.weight")
    channels = 0 if turned is None else turned.shape[1] // (len(DEGREES) - 1)
    names_elements = weights["out.bias"].size > 1
    if (judging and names_elements) or (angular is not None and angular != channels):
        raise other
    network = network_of(channels, weights["element.weight"].shape[1], layers)
    state = network.state_dict()
    last = {"out.weight", "out.bias"} if names_elements else set()
    if weights.keys() | set(OWN) != state.keys():
        raise other
    taken = {
        name: torch.from_numpy(array.copy()).reshape(state[name].shape)
        for name, array in weights.items()
        if name not in last
    }
    network.load_state_dict({**state, **taken})
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
        "--angular", type=int, help=f"channels by direction, {ANGULAR} by default; 0 sees distances"
    )
    parser.add_argument("--large-share", type=float, default=LARGE_SHARE, help="of frameworks in an epoch")
    parser.add_argument(
        "--from", dest="begin_with", metavar="MODEL", help="network's file or masked-site model to go on from"
    )
    parser.add_argument("--rate", type=float, default=RATE, help="peak of the learning rate")
    parser.add_argument("--exchange", metavar="MODEL", help="model whose isotypes exchange elements")
    parser.add_argument("--often", type=float, default=OFTEN, help="chance of an exchange in a crystal")
    parser.add_argument("--unrelaxed", action="store_true", help="for candidates that are not relaxed")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    exchanges = None
    try:  # told before minutes of making examples
        if given.begin_with is not None:
            network_from(given.begin_with, given.angular)
        if given.exchange is not None:
            exchanges = Exchanges.of_model(given.exchange, given.often)
    except AtomsightError as error:
        parser.error(str(error))
    if not 0 <= given.often <= 1:
        parser.error(f"--often is a chance, from 0 to 1, not {given.often:g}")
    if given.unrelaxed and exchanges is not None:
        parser.error("--exchange is of no use with --unrelaxed, which takes other compounds' geometries")
    given.out.mkdir(parents=True, exist_ok=True)
    left = given.leave_out.read_text().split() if given.leave_out else []
    source: Source
    if given.unrelaxed:
        source = Unrelaxed.prepared(given.dataset, given.small, left, given.seed, K)
    else:
        source = Whole.prepared(
            *(given.dataset, given.small, given.large, given.most, left, given.seed, K, given.out),
            given.large_share,
            exchanges,
        )
    done = train(
        source,
        given.out,
        given.epochs,
        given.seed,
        given.minutes,
        angular=given.angular,
        rate=given.rate,
        begin_with=given.begin_with,
    )
    print("done" if done is not None else "time is up: run the same command to go on")


if __name__ == "__main__":
    main()
