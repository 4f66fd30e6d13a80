"""The attack of Korhonen and You: hide the change in busy places."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from birqa.attacks.base import Attack, Goal


@dataclass(frozen=True, kw_only=True)
class KorhonenYou(Attack):
    """Adam on the picture, its gradient weighted by a Sobel map of activity.

    Korhonen and You, "Adversarial attacks against blind image quality assessment models", 2022. The map is
    scaled to a maximum of 1 in each picture; the budget is kept by projection at the end.
    """

    name: ClassVar[str] = "korhonen"

    steps: int = 10
    learning_rate: float = 0.005

    def attack(self, goal: Goal, dist: Tensor, budgets: list[float]) -> list[Tensor]:
        activity = _activity(dist)
        pictures = dist.clone().requires_grad_()
        optimizer = torch.optim.Adam([pictures], lr=self.learning_rate)
        before = dist
        for _ in range(self.steps):
            _, slope = goal.gradient(pictures)
            pictures.grad = -slope
            optimizer.step()
            with torch.no_grad():
                # Adam takes steps of one length whatever the gradient's: the map has to weigh the step.
                before = (before + activity * (pictures - before)).clamp(0, 1)
                pictures.copy_(before)
        return [before] * len(budgets)


def _activity(dist: Tensor) -> Tensor:
    """(N, 1, H, W) in [0, 1]: Sobel gradient magnitude of the mean of R, G and B."""
    rise = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).to(dist)
    kernels = torch.stack([rise, rise.T])[:, None]
    grey = F.pad(dist.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    magnitude = F.conv2d(grey, kernels).square().sum(1, keepdim=True).sqrt()
    return magnitude / magnitude.amax((2, 3), keepdim=True).clamp(min=1e-6)
