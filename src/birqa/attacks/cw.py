"""Carlini and Wagner's attack, for scores."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from birqa.attacks.base import Attack, Goal


@dataclass(frozen=True, kw_only=True)
class CW(Attack):
    """Minimise |d|^2 + c relu(kappa - gain) in tanh space, then keep to each budget.

    After Carlini and Wagner (2017). The form for scores is ours: |d|^2 is the mean over samples, gain is how
    far the score moved as wished, and kappa = 1, the whole range of a score, is never satisfied.
    """

    name: ClassVar[str] = "cw"

    steps: int = 50
    learning_rate: float = 0.01
    """Of Adam, in tanh space, where pictures of [0, 1] are (tanh + 1) / 2."""
    c: float = 1.0
    """Weight of the goal beside the squared change."""
    kappa: float = 1.0
    """The gain that is aimed at, in units of the score."""

    @torch.enable_grad()
    def attack(self, goal: Goal, dist: Tensor, budgets: list[float]) -> list[Tensor]:
        clean = goal.value(dist)
        # The tanh never reaches 0 and 1.
        hidden = torch.atanh((2 * dist - 1) * (1 - 1e-6)).requires_grad_()
        optimizer = torch.optim.Adam([hidden], lr=self.learning_rate)
        for _ in range(self.steps):
            pictures = 0.5 * (torch.tanh(hidden) + 1)
            missing = torch.relu(self.kappa - (goal(pictures) - clean))
            loss = (pictures - dist).square().mean((1, 2, 3)) + self.c * missing
            (hidden.grad,) = torch.autograd.grad(loss.sum(), hidden)
            optimizer.step()
        return [0.5 * (torch.tanh(hidden.detach()) + 1)] * len(budgets)
