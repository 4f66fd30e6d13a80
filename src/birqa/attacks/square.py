"""Square attack: random search with squares, without gradients."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from birqa.attacks.base import Goal, SingleBudgetAttack, better, generators, within

# Where, of 10,000 queries, the share of the picture that a square covers is halved.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@dataclass(frozen=True, kw_only=True)
class Square(SingleBudgetAttack):
    """Andriushchenko et al. (2020): vertical stripes of +-budget, then squares of it, kept when they help."""

    name: ClassVar[str] = "square"
    white_box: ClassVar[bool] = False
    revision: ClassVar[int] = 2
    keep_best: ClassVar[bool] = True

    queries: int = 10_000
    """Scores asked for, beside that of the picture as it is."""
    p_init: float = 0.8
    """Share of the picture that the first squares cover."""

    def attack_within(self, goal: Goal, dist: Tensor, budget: float) -> Tensor:
        drawn_by = generators(dist, self.seed)
        channels, height, width = dist.shape[1:]
        stripes = torch.stack([_signs((channels, 1, width), generator) for generator in drawn_by]).to(dist)
        best_values, best = goal.value(dist), dist
        tried = within(dist + budget * stripes, dist, budget)
        best_values, best = better(goal.value(tried), tried, best_values, best)
        for query in range(1, self.queries):
            share = self.p_init * 0.5 ** sum(query > at * self.queries / 10_000 for at in _HALVINGS)
            side = max(1, min(round((share * height * width) ** 0.5), min(height, width)))
            tried = best.clone()
            for index, generator in enumerate(drawn_by):
                top = int(torch.randint(height - side + 1, (), generator=generator))
                left = int(torch.randint(width - side + 1, (), generator=generator))
                square = (index, slice(None), slice(top, top + side), slice(left, left + side))
                tried[square] = dist[square] + budget * _signs((channels, 1, 1), generator).to(dist)
            tried = within(tried, dist, budget)
            best_values, best = better(goal.value(tried), tried, best_values, best)
        return best


def _signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(2, shape, generator=generator) * 2.0 - 1.0
