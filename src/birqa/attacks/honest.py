"""The yardstick of attacks: what a change within the budget does when it cheats nobody."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from birqa.attacks.base import Attack, Goal, uniform_like


@dataclass(frozen=True, kw_only=True)
class Honest(Attack):
    """Samples go towards the reference's (up) or away from them (down); the metric is not asked (ours).

    Pictures really become better or worse, so a metric that sees quality must follow: where it loses its
    ranks here, no defence that keeps its eyes open can hold them under an attack of the same budget. Where
    the two samples are equal, the way down is drawn.
    """

    name: ClassVar[str] = "honest"
    white_box: ClassVar[bool] = False

    def attack(self, goal: Goal, dist: Tensor, budgets: list[float]) -> list[Tensor]:
        missing = goal.ref - dist
        drawn = uniform_like(dist, self.seed).sign()
        away = -torch.where(missing == 0, drawn, missing.sign())
        up = (goal.sign > 0)[:, None, None, None]
        return [dist + torch.where(up, missing.clamp(-budget, budget), budget * away) for budget in budgets]
