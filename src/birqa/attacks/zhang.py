"""The perceptual attack of Zhang et al.: move the score, keep the looks."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from birqa.attacks.base import Attack, Goal
from birqa.features.colour import luma
from birqa.features.ssim import local_statistics, ssim_map


@dataclass(frozen=True, kw_only=True)
class Zhang(Attack):
    """Maximise (s - s0)^2 + weight * SSIM to the picture before, on a 0..100 scale of scores.

    Zhang et al., "Perceptual attacks of no-reference image quality models with human-in-the-loop", 2022. Two
    changes are ours, for attacks with a direction: the square keeps its sign, and counts from one point
    behind s0, where it is not flat. The budget, which the original lacks, is kept by projection at the end.
    """

    name: ClassVar[str] = "zhang"

    steps: int = 200
    learning_rate: float = 0.005
    """Of Adam, on pixels of 0..1."""
    weight: float = 5000.0
    """Of the similarity beside the squared change of the score in points."""
    eight_bit: bool = True

    @torch.enable_grad()
    def attack(self, goal: Goal, dist: Tensor, budgets: list[float]) -> list[Tensor]:
        clean = goal.value(dist)
        before = luma(dist)
        change = torch.zeros_like(dist, requires_grad=True)
        optimizer = torch.optim.Adam([change], lr=self.learning_rate)
        for _ in range(self.steps):
            pictures = (dist + change).clamp(0, 1)
            points = 100 * (goal(pictures) - clean) + 1
            similarity = ssim_map(local_statistics(before, luma(pictures))).mean((1, 2, 3))
            loss = -(points * points.abs() + self.weight * similarity).sum()
            (change.grad,) = torch.autograd.grad(loss, change)
            optimizer.step()
        return [dist + change.detach()] * len(budgets)
