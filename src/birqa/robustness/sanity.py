"""Is a metric robust, or do attacks merely not get through? The questions of AutoAttack's authors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from birqa.attacks.base import Attack, Goal, Metric

LEAST_GAIN = 0.005
"""Differences between gains that are smaller are not worth a word."""


@dataclass(frozen=True)
class Sanity:
    """What was seen on a few pictures; `warnings` says what of it makes a robustness figure doubtful."""

    scatter: float
    """Largest difference between two scores of one pair: a randomised metric needs attacks of its own."""
    zero_gradients: dict[str, float]
    """Share of exact zeros in the gradient, by the form that is differentiated (hard, soft, ...)."""
    gains: dict[str, dict[str, float]]
    """Mean gain, by attack and by budget."""
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(
    metric: Metric,
    surrogates: Mapping[str, Metric],
    white_box: Mapping[str, Attack],
    black_box: Attack,
    dist: Tensor,
    ref: Tensor,
    budgets: Sequence[float],
) -> Sanity:
    """Ask the questions of pictures (N, 3, H, W).

    `surrogates` are the forms that an attacker may differentiate in the metric's place, by name, the one that
    most attacks follow first; `white_box` holds an attack for each of them; both are empty for a metric
    without gradients. Gains are always those of `metric`, upwards; where an attack fails, the picture stays
    as it was.
    """
    up = torch.ones(len(dist)).to(dist)
    with torch.no_grad():
        clean = metric(dist, ref)
        scatter = float((metric(dist, ref) - clean).abs().max())
    zeros = {
        name: float((Goal(surrogate, ref, up).gradient(dist)[1] == 0).float().mean())
        for name, surrogate in surrogates.items()
    }

    def gains(attack: Attack, seen: Metric) -> dict[str, float]:
        with torch.no_grad():
            attacked = attack(seen, dist, ref, budgets)
            return {
                f"{budget:.4g}": float((metric(pictures, ref) - clean).clamp(min=0).mean())
                for budget, pictures in zip(budgets, attacked, strict=True)
            }

    measured = {
        f"{white_box[name].name}, {name}": gains(white_box[name], seen) for name, seen in surrogates.items()
    }
    measured[black_box.name] = gains(black_box, metric)
    return Sanity(scatter, zeros, measured, _warnings(scatter, zeros, measured, black_box.name))


def _warnings(
    scatter: float, zeros: Mapping[str, float], gains: Mapping[str, Mapping[str, float]], black_box: str
) -> list[str]:
    found = []
    if scatter > 0:
        found.append(f"the metric is random: two scores of one pair differ by up to {scatter:.2g}")
    found += [
        f"{share:.0%} of the {name} gradient is exactly zero: attacks that follow it are held up, not beaten"
        for name, share in zeros.items()
        if share > 0.5
    ]
    with_gradients = [values for attack, values in gains.items() if attack != black_box]
    for budget, gain in gains[black_box].items():
        strongest = max((values[budget] for values in with_gradients), default=math.inf)
        if gain > strongest:
            found.append(
                f"at {budget} the black box {black_box} gains {gain:.3f}, more than any attack with "
                f"gradients ({strongest:.3f}): the gradients mislead"
            )
    followed, *others = [attack for attack in gains if attack != black_box] or [""]
    for budget in gains[black_box] if others else ():
        best = max(others, key=lambda attack: gains[attack][budget])
        if gains[best][budget] > max(1.1 * gains[followed][budget], gains[followed][budget] + LEAST_GAIN):
            found.append(
                f"at {budget} {best} gains {gains[best][budget]:.3f}, {followed} "
                f"{gains[followed][budget]:.3f}: attacks that follow the latter's gradient, as most here do, "
                "do not show the worst"
            )
    for attack, values in gains.items():
        in_order = [values[budget] for budget in sorted(values, key=float)]
        if any(later < earlier for earlier, later in pairwise(in_order)):
            found.append(f"the gain of {attack} does not grow with the budget: it is not converged")
    return found
