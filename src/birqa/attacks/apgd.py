"""Auto-PGD: projected gradient ascent that sets its own step."""

from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import torch
from torch import Tensor

from birqa.attacks.base import Goal, SingleBudgetAttack, better, random_start, within


@dataclass(frozen=True, kw_only=True)
class APGD(SingleBudgetAttack):
    """Croce and Hein (2020) with the score itself as loss.

    Steps start at twice the budget, with momentum; at checkpoints a picture's step is halved, and the climb
    goes on from its best version, where fewer than `rho` of the steps since the last one raised the goal, or
    where neither step nor best has changed since.
    """

    name: ClassVar[str] = "apgd"
    revision: ClassVar[int] = 2
    keep_best: ClassVar[bool] = True

    steps: int = 100
    restarts: int = 1
    momentum: float = 0.75
    """Share of the new step, the rest being the last move; the paper's alpha."""
    rho: float = 0.75
    """The paper's."""

    def attack_within(self, goal: Goal, dist: Tensor, budget: float) -> Tensor:
        best_values, best = goal.value(dist), dist
        for restart in range(self.restarts):
            start = random_start(dist, budget, self.seed + restart)
            best_values, best = better(*self._climb(goal, start, dist, budget), best_values, best)
        return best

    def _climb(self, goal: Goal, start: Tensor, dist: Tensor, budget: float) -> tuple[Tensor, Tensor]:
        checkpoints = _checkpoints(self.steps)
        values, slope = goal.gradient(start)
        pictures, previous, best, best_values, best_slope = start, start, start, values, slope
        step = torch.full_like(values, 2 * budget)
        rises = torch.zeros_like(values)
        checked_step, checked_best, last_check = step.clone(), best_values.clone(), 0
        for number in range(1, self.steps + 1):
            moved = within(pictures + step[:, None, None, None] * slope.sign(), dist, budget)
            if number > 1:
                ahead = self.momentum * (moved - pictures) + (1 - self.momentum) * (pictures - previous)
                moved = within(pictures + ahead, dist, budget)
            pictures, previous = moved, pictures
            earlier = values
            values, slope = goal.gradient(pictures)
            rises += values > earlier
            improved = values > best_values
            best_slope = torch.where(improved[:, None, None, None], slope, best_slope)
            best_values, best = better(values, pictures, best_values, best)
            if number in checkpoints:
                slow = rises < self.rho * (number - last_check)
                stuck = (step == checked_step) & (best_values == checked_best)
                halve = slow | stuck
                checked_step, checked_best, last_check = step.clone(), best_values.clone(), number
                step = torch.where(halve, step / 2, step)
                again = halve[:, None, None, None]
                pictures = torch.where(again, best, pictures)
                previous = torch.where(again, best, previous)
                slope = torch.where(again, best_slope, slope)
                values = torch.where(halve, best_values, values)
                rises = torch.zeros_like(rises)
        return best_values, best


def _checkpoints(steps: int) -> set[int]:
    """p_0 = 0, p_1 = .22, p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06), times the number of steps."""
    before, share, found = 0.0, 0.22, set()
    while share <= 1:
        found.add(ceil(round(share * steps, 6)))
        before, share = share, share + max(share - before - 0.03, 0.06)
    return found
