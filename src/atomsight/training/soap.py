"""SOAP, the optimiser of the two-stage network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any

import torch
from torch import Tensor


class Soap(torch.optim.Optimizer):
    """Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, arXiv:2409.11321, algorithm 3).

    Stacked sigmoids scale gradients very unevenly along directions that are not axes of the weight matrices.
    Steps along eigenvectors converge faster there than Adam's steps along the axes.

    Args:
        parameters: vectors take Adam steps, matrices SOAP steps; other shapes are an error.
        lr: step size.
        betas: decay of the first moment, and of the second moment and the two covariance factors.
        eps: added to the root of the second moment.
        weight_decay: decoupled, in units of lr (Loshchilov and Hutter 2019, arXiv:1711.05101); matrices only.
        refresh: steps between updates of the eigenbases, one power iteration and a QR each.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        refresh: int = 10,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "refresh": refresh}
        super().__init__(parameters, defaults)
        for parameter in (p for group in self.param_groups for p in group["params"]):
            if parameter.ndim not in (1, 2):
                raise ValueError(
                    f"Soap takes vectors and matrices, not a tensor of shape {tuple(parameter.shape)}"
                )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step from the gradients; a closure computes them first and returns the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        beta1, beta2 = group["betas"]
        if not state:
            # The paper skips the first step: it only gives the eigenbases something to start from.
            state["step"] = 0
            state["first"] = torch.zeros_like(gradient)
            state["second"] = torch.zeros_like(gradient)
            if gradient.ndim == 2:
                state["rows"], state["columns"] = gradient @ gradient.T, gradient.T @ gradient
                state["row_basis"] = _eigenbasis(state["rows"])
                state["column_basis"] = _eigenbasis(state["columns"])
            return
        state["step"] += 1
        state["first"].lerp_(gradient, 1 - beta1)
        matrix = gradient.ndim == 2
        turned, moment = gradient, state["first"]
        if matrix:
            left, right = state["row_basis"], state["column_basis"]
            turned, moment = left.T @ gradient @ right, left.T @ moment @ right
        state["second"].mul_(beta2).addcmul_(turned, turned, value=1 - beta2)
        correction = sqrt(1 - beta2 ** state["step"]) / (1 - beta1 ** state["step"])
        update = correction * moment / (state["second"].sqrt() + group["eps"])
        if matrix:
            update = left @ update @ right.T
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(update, alpha=group["lr"])
        if matrix:
            state["rows"].lerp_(gradient @ gradient.T, 1 - beta2)
            state["columns"].lerp_(gradient.T @ gradient, 1 - beta2)
            if state["step"] % group["refresh"] == 0:
                state["row_basis"], rows = _refreshed(state["rows"], state["row_basis"])
                state["column_basis"], columns = _refreshed(state["columns"], state["column_basis"])
                state["second"] = state["second"][rows][:, columns]


def _eigenbasis(covariance: Tensor) -> Tensor:
    """Return orthonormal eigenvectors."""
    # A first gradient of low rank has a covariance with hundreds of equal eigenvalues, for which LAPACK's
    # float32 routine can fail to converge: float64 and a small ramp on the diagonal prevent that.
    exact = covariance.double()
    ramp = torch.linspace(0, 1, len(covariance), dtype=torch.float64, device=exact.device)
    scale = exact.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
    vectors: Tensor = torch.linalg.eigh(exact + 1e-9 * scale * ramp.diag())[1].to(covariance)
    return vectors


def _refreshed(covariance: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Return the basis after one power iteration, and the order in which it takes the old vectors."""
    product = covariance @ basis
    order = torch.argsort((basis * product).sum(dim=0), descending=True)
    return torch.linalg.qr(product[:, order])[0], order
