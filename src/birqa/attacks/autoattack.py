"""AutoAttack for scores: the worst case, per picture, of a gradient attack and a black-box one."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from torch import Tensor

from birqa.attacks.apgd import APGD
from birqa.attacks.base import Goal, SingleBudgetAttack, better, within
from birqa.attacks.square import Square


@dataclass(frozen=True, kw_only=True)
class AutoAttack(SingleBudgetAttack):
    """APGD, then Square, then a line search along the better one's change (after Croce and Hein 2020).

    The form for scores is ours, and that APGD climbs by each form of a metric's gradient. The line search
    tries the change at `stretches` of its length, each kept within the budget. Of the settings of both parts,
    this attack's seed takes the place of theirs.
    """

    name: ClassVar[str] = "autoattack"
    revision: ClassVar[int] = 2
    keep_best: ClassVar[bool] = True
    every_form: ClassVar[bool] = True

    apgd: APGD = field(default_factory=APGD)
    square: Square = field(default_factory=lambda: Square(queries=5000))
    stretches: tuple[float, ...] = (0.25, 0.5, 0.75, 1.5, 2.0, 4.0, 16.0)

    @property
    def calls(self) -> int:
        return self.apgd.calls + self.square.calls + len(self.stretches)

    def attack_within(self, goal: Goal, dist: Tensor, budget: float) -> Tensor:
        best_values, best = goal.value(dist), dist
        apgd, square = (replace(part, seed=self.seed) for part in (self.apgd, self.square))
        for part, seen in (*((apgd, form) for form in goal.forms()), (square, goal)):
            found = part.attack_within(seen, dist, budget)
            best_values, best = better(goal.value(found), found, best_values, best)
        change = best - dist
        for stretch in self.stretches:
            found = within(dist + stretch * change, dist, budget)
            best_values, best = better(goal.value(found), found, best_values, best)
        return best
