"""Fast gradient sign method."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from birqa.attacks.base import Attack, Goal


@dataclass(frozen=True, kw_only=True)
class FGSM(Attack):
    """One step of the whole budget along the sign of the gradient (Goodfellow et al. 2015)."""

    name: ClassVar[str] = "fgsm"

    def attack(self, goal: Goal, dist: Tensor, budgets: list[float]) -> list[Tensor]:
        _, slope = goal.gradient(dist)
        return [dist + budget * slope.sign() for budget in budgets]
