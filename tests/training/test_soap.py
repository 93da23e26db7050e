from __future__ import annotations

import copy

import pytest
import torch

from atomsight.training.soap import Soap


def test_vectors_take_adam_steps_after_the_first() -> None:
    torch.manual_seed(0)
    gradients = torch.randn(6, 5)
    ours, theirs = (torch.nn.Parameter(torch.ones(5)) for _ in range(2))
    soap = Soap([ours], lr=0.1, betas=(0.9, 0.99))
    adam = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99))
    for index, gradient in enumerate(gradients):
        ours.grad = gradient.clone()
        soap.step()
        if index:
            theirs.grad = gradient.clone()
            adam.step()
    torch.testing.assert_close(ours, theirs)


def final_loss(optimiser_class: type, lr: float) -> float:
    """Least squares whose inputs are ill-conditioned along directions that are no axes."""
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(20, 20))[0]
    inputs = torch.randn(500, 20) * torch.logspace(0, -2, 20) @ turn
    outputs = inputs @ torch.randn(20, 8) * 10
    weight = torch.nn.Parameter(torch.zeros(20, 8))
    optimiser = optimiser_class([weight], lr=lr)
    for step in range(300):
        for group in optimiser.param_groups:
            group["lr"] = lr * (1 - step / 300)
        loss = (inputs @ weight - outputs).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float(loss.detach())


def test_ill_conditioned_directions_are_learnt_sooner_than_by_adam() -> None:
    best_adam = min(final_loss(torch.optim.Adam, lr) for lr in (0.1, 0.3, 1.0, 3.0))
    best_soap = min(final_loss(Soap, lr) for lr in (0.1, 0.3, 1.0, 3.0))
    assert best_soap < 0.5 * best_adam


def test_restored_state_goes_on_exactly() -> None:
    def steps(parameters: list[torch.nn.Parameter], optimiser: Soap, start: int, stop: int) -> None:
        for step in range(start, stop):
            torch.manual_seed(step)
            for parameter in parameters:
                parameter.grad = torch.randn_like(parameter)
            optimiser.step()

    torch.manual_seed(0)
    whole = [torch.nn.Parameter(torch.randn(7, 3)), torch.nn.Parameter(torch.randn(4))]
    broken = copy.deepcopy(whole)
    optimiser = Soap(whole, lr=0.01)
    steps(whole, optimiser, 0, 30)
    first = Soap(broken, lr=0.01)
    steps(broken, first, 0, 13)
    second = Soap(broken, lr=0.01)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    steps(broken, second, 13, 30)
    for a, b in zip(whole, broken, strict=True):
        assert torch.equal(a, b)


def test_weight_decay_shrinks_matrices_only() -> None:
    matrix, vector = torch.nn.Parameter(torch.ones(3, 3)), torch.nn.Parameter(torch.ones(3))
    optimiser = Soap([matrix, vector], lr=0.5, weight_decay=0.1)
    for _ in range(2):
        matrix.grad, vector.grad = torch.zeros(3, 3), torch.zeros(3)
        optimiser.step()
    torch.testing.assert_close(matrix.detach(), torch.full((3, 3), 0.95))
    assert torch.equal(vector.detach(), torch.ones(3))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2, 2\)"):
        Soap([torch.nn.Parameter(torch.zeros(2, 2, 2))], lr=0.1)


def test_first_gradient_of_low_rank_gives_a_basis() -> None:
    """Rows that no site of the first batch uses have no gradient: the covariance is mostly zeros."""
    parameter = torch.nn.Parameter(torch.zeros(119, 128))
    optimiser = Soap([parameter], lr=0.1)
    for gradient in (torch.zeros(119, 128), torch.outer(torch.ones(119), torch.ones(128) * 1e-20)):
        optimiser.state.clear()
        parameter.grad = gradient
        optimiser.step()
        basis = optimiser.state[parameter]["row_basis"]
        torch.testing.assert_close(basis.T @ basis, torch.eye(119), atol=1e-5, rtol=0)
