from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from atomsight.training.two_stage.network import TwoStageNetwork, weighted_cross_entropy

ELEMENTS = (1, 6, 8)


def test_layers_are_those_of_the_two_stage_model() -> None:
    network = TwoStageNetwork(10, ELEMENTS)
    shapes = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert shapes == [(64, 10), (64, 64), (64, 64), (118, 64), (3, 128)]
    assert sum(isinstance(m, torch.nn.Sigmoid) for m in network.stage_one) == 3


def test_loss_is_binary_cross_entropy_with_weight_118_on_the_true_class() -> None:
    torch.manual_seed(0)
    scores = torch.randn(50, 118) * 5
    number = torch.randint(0, 118, (50,))
    expected = binary_cross_entropy_with_logits(
        scores, one_hot(number, 118).float(), pos_weight=torch.tensor(118.0)
    )
    torch.testing.assert_close(weighted_cross_entropy(scores, number), expected)


def test_loss_stays_finite_at_extreme_scores() -> None:
    scores = torch.full((2, 118), -1e4, requires_grad=True)
    loss = weighted_cross_entropy(scores, torch.tensor([0, 5]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(scores.grad).all()


def test_stage_two_sends_no_gradient_into_stage_one() -> None:
    network = TwoStageNetwork(4, ELEMENTS)
    network.logits(torch.rand(5, 4)).sum().backward()
    assert all(parameter.grad is None for parameter in network.stage_one.parameters())
    assert network.stage_two.weight.grad.abs().sum() > 0


def test_standardisation_is_only_another_parametrisation_of_raw_distances() -> None:
    torch.manual_seed(1)
    scaled, raw = TwoStageNetwork(4, ELEMENTS).double(), TwoStageNetwork(4, ELEMENTS).double()
    torch.nn.init.normal_(scaled.stage_two.weight)
    raw.load_state_dict(scaled.state_dict())
    scaled.mean.copy_(torch.tensor([1.0, 1.5, 2.0, 2.5]))
    scaled.scale.copy_(torch.tensor([3.0, 2.0, 1.0, 0.5]))
    with torch.no_grad():
        for layer, columns in ((raw.stage_one[0], slice(None)), (raw.stage_two, slice(118, None))):
            weight = layer.weight[:, columns]
            layer.bias -= weight @ (scaled.mean * scaled.scale)
            weight *= scaled.scale
    distances = torch.rand(20, 4, dtype=torch.float64) * 4
    torch.testing.assert_close(raw.logits(distances), scaled.logits(distances))


def least_spread(stage_one: torch.nn.Sequential, k: int) -> float:
    """The smallest mean deviation, over the sites, of the units of a hidden layer."""
    torch.manual_seed(0)
    signal, spreads = torch.randn(2000, k), []
    with torch.no_grad():
        for layer in stage_one[:-1]:
            signal = layer(signal)
            if isinstance(layer, torch.nn.Sigmoid):
                spreads.append(float(signal.std(dim=0).mean()))
    return min(spreads)


@pytest.mark.parametrize("k", [1, 10, 40])
def test_initial_weights_let_the_signal_through(k: int) -> None:
    """PyTorch's own initial weights shrink it in each sigmoid layer until all sites look alike."""
    torch.manual_seed(0)
    network, plain = TwoStageNetwork(k, ELEMENTS), TwoStageNetwork(k, ELEMENTS)
    for layer in plain.stage_one:
        if isinstance(layer, torch.nn.Linear):
            layer.reset_parameters()
    assert least_spread(network.stage_one, k) > 0.1 > 4 * least_spread(plain.stage_one, k)
    scores = network.scores(torch.randn(2000, k))
    assert float(torch.sigmoid(scores).mean().detach()) < 0.1
