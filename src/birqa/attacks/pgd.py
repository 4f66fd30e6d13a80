"""Projected gradient ascent, from the picture itself (I-FGSM) or from random starts (PGD)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from birqa.attacks.base import Goal, SingleBudgetAttack, better, random_start, within


@dataclass(frozen=True, kw_only=True)
class IFGSM(SingleBudgetAttack):
    """`steps` signed steps from the picture itself (Kurakin et al. 2017)."""

    name: ClassVar[str] = "ifgsm"

    steps: int = 10
    step: float = 1 / 255
    """Length of a step; never more than the budget."""
    keep_best: bool = True
    """Give the best picture met on the way, not the last, which saves a pass of the metric."""

    def attack_within(self, goal: Goal, dist: Tensor, budget: float) -> Tensor:
        return self.climb(goal, dist, dist, budget)[1]

    def climb(self, goal: Goal, start: Tensor, dist: Tensor, budget: float) -> tuple[Tensor, Tensor]:
        """Best goals met (N,), and the pictures to give, after climbing from `start`."""
        pictures, best = start, start
        best_values = torch.full_like(goal.sign, -torch.inf)
        for _ in range(self.steps):
            values, slope = goal.gradient(pictures)
            best_values, best = better(values, pictures, best_values, best)
            pictures = within(pictures + min(self.step, budget) * slope.sign(), dist, budget)
        if not self.keep_best:
            return best_values, pictures
        return better(goal.value(pictures), pictures, best_values, best)


@dataclass(frozen=True, kw_only=True)
class PGD(IFGSM):
    """I-FGSM from `restarts` uniformly random starts within the budget (Madry et al. 2018)."""

    name: ClassVar[str] = "pgd"

    restarts: int = 1

    def attack_within(self, goal: Goal, dist: Tensor, budget: float) -> Tensor:
        best_values, best = torch.full_like(goal.sign, -torch.inf), dist
        for restart in range(self.restarts):
            start = random_start(dist, budget, self.seed + restart)
            values, pictures = self.climb(goal, start, dist, budget)
            if self.restarts > 1 and not self.keep_best:
                # What was met on the way says nothing of the last picture.
                values = goal.value(pictures)
            best_values, best = better(values, pictures, best_values, best)
        return best
