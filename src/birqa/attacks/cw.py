"""Carlini and Wagner's attack, for scores."""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from birqa.attacks.base import Attack, Goal

EDGE = 0.01
"""How far from the ends of tanh black and white start; at the ends themselves no gradient would move them."""


@dataclass(frozen=True, kw_only=True)
class CW(Attack):
    """Minimise |d|^2 + c relu(kappa - gain) in tanh space, then keep to each budget.

    After Carlini and Wagner (2017). The form for scores is ours: |d|^2 is the mean over samples, gain is how
    far the score moved as wished, and kappa = 1, the whole range of a score, is never satisfied; where scores
    have a larger one, a warning says so. The picture is its own plus what its tanh has changed by: so black
    and white start where tanh has a slope. It is a small one: in 50 steps samples at the ends move by up to
    2.6 levels of 255, and only those between come near a budget of 8.
    """

    name: ClassVar[str] = "cw"
    revision: ClassVar[int] = 2

    steps: int = 50
    learning_rate: float = 0.01
    """Of Adam, in tanh space, where pictures of [0, 1] are (tanh + 1) / 2."""
    c: float = 1.0
    """Weight of the goal beside the squared change."""
    kappa: float = 1.0
    """The gain that is aimed at, in units of the score; beyond it nothing pushes on."""

    @torch.enable_grad()
    def attack(self, goal: Goal, dist: Tensor, budgets: list[float]) -> list[Tensor]:
        clean = goal.value(dist)
        start = (2 * dist - 1) * (1 - EDGE)
        hidden = torch.atanh(start).requires_grad_()

        def pictures_of(hidden: Tensor) -> Tensor:
            return (dist + 0.5 * (torch.tanh(hidden) - start)).clamp(0, 1)

        optimizer = torch.optim.Adam([hidden], lr=self.learning_rate)
        for _ in range(self.steps):
            pictures = pictures_of(hidden)
            missing = torch.relu(self.kappa - (goal(pictures) - clean))
            loss = (pictures - dist).square().mean((1, 2, 3)) + self.c * missing
            (hidden.grad,) = torch.autograd.grad(loss.sum(), hidden)
            optimizer.step()
        attacked = pictures_of(hidden.detach())
        if (goal.value(attacked) - clean >= 0.9 * self.kappa).any():
            warnings.warn(
                f"cw came as far as kappa={self.kappa:g}, where it stops pushing: for scores on a larger "
                "scale set kappa to their whole range.",
                stacklevel=2,
            )
        return [attacked] * len(budgets)
