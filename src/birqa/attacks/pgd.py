"""Projected gradient ascent, from the picture itself (I-FGSM) or from random starts (PGD)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from birqa.attacks.base import Goal, SingleBudgetAttack, better, random_start, within

REACH = 2.5
"""Budgets that all steps together go, as Madry et al. have it: from anywhere to the far side, and a little to
spare."""


@dataclass(frozen=True, kw_only=True)
class IFGSM(SingleBudgetAttack):
    """`steps` signed steps from the picture itself (Kurakin et al. 2017)."""

    name: ClassVar[str] = "ifgsm"
    revision: ClassVar[int] = 2

    steps: int = 10
    step: float = 0.0
    """Length of a step, never more than the budget. 0: 1/255 as in the papers, or longer where with it all
    steps would not go `REACH` budgets far."""
    keep_best: bool = True
    """Give the best picture met on the way, not the last, which saves a pass of the metric."""

    def attack_within(self, goal: Goal, dist: Tensor, budget: float) -> Tensor:
        return self.climb(goal, dist, dist, budget)[1]

    def climb(self, goal: Goal, start: Tensor, dist: Tensor, budget: float) -> tuple[Tensor, Tensor]:
        """Best goals met (N,), and the pictures to give, after climbing from `start`."""
        pictures, best = start, start
        best_values = torch.full_like(goal.sign, -torch.inf)
        step = min(self.step or max(1 / 255, REACH * budget / self.steps), budget)
        for _ in range(self.steps):
            values, slope = goal.gradient(pictures)
            best_values, best = better(values, pictures, best_values, best)
            pictures = within(pictures + step * slope.sign(), dist, budget)
        if not self.keep_best:
            return best_values, pictures
        return better(goal.value(pictures), pictures, best_values, best)


@dataclass(frozen=True, kw_only=True)
class PGD(IFGSM):
    """I-FGSM from `restarts` uniformly random starts within the budget (Madry et al. 2018).

    Where it keeps the best picture, that may be the one it was given: noise, which a random start is, can
    cost more than few steps gain.
    """

    name: ClassVar[str] = "pgd"

    restarts: int = 1

    def attack_within(self, goal: Goal, dist: Tensor, budget: float) -> Tensor:
        best_values, best = torch.full_like(goal.sign, -torch.inf), dist
        if self.keep_best:
            best_values = goal.value(dist)
        for restart in range(self.restarts):
            start = random_start(dist, budget, self.seed + restart)
            values, pictures = self.climb(goal, start, dist, budget)
            if self.restarts > 1 and not self.keep_best:
                # What was met on the way says nothing of the last picture.
                values = goal.value(pictures)
            best_values, best = better(values, pictures, best_values, best)
        return best
