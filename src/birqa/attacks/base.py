"""What every attack shares: the metric under attack, its goal, budgets, and the pictures within reach.

Attacks act on RGB in [0, 1], under L-infinity budgets of the same unit, and clamp to [0, 1]; the reference is
never touched.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from birqa.ranges import require_at_least, require_kinds, require_positive

Metric = Callable[[Tensor, Tensor], Tensor]
"""(dist, ref), each RGB (N, 3, H, W) in [0, 1] -> scores (N,), higher is better."""


class Forms:
    """One metric by several forms of its gradient: called, the first; which all attacks but those that take
    the worst case of all forms (`Attack.every_form`) follow alone."""

    def __init__(self, forms: Sequence[Metric]) -> None:
        self.forms = tuple(forms)

    def __call__(self, dist: Tensor, ref: Tensor) -> Tensor:
        return self.forms[0](dist, ref)


Direction = Literal["up", "down"] | Tensor
"""Where the scores are pushed: all up, all down, or each by its sign (N,), as from `bidirectional`."""


def bidirectional(quality: Tensor) -> Tensor:
    """Signs that hurt ranks most: pictures above the mean quality (ratings or clean scores) are pushed down.

    Takes and gives (N,), so the mean is that of what is given: pass a whole data set at once. Values that are
    not finite have no part in it.
    """
    return torch.where(quality > quality[torch.isfinite(quality)].mean(), -1.0, 1.0)


# Names of settings that several attacks share, and what they may be.
COUNTS = ("steps", "queries", "restarts", "block", "blocks_at_once", "batch", "side", "width", "depth")
POSITIVE = ("learning_rate", "c", "kappa")
NOT_NEGATIVE = ("step",)
SHARES = ("p_init", "train_budget", "rho")
SEEDS = 2**63


NO_GRADIENT = (
    "the metric's scores carry no gradient (detached, or made outside torch), which this attack needs: use a "
    "black-box attack (square, parsimonious)."
)


def one_score_each(scores: Any, count: int) -> Tensor:
    """(count,), in float32 where they are not torch's. Raises ValueError where somebody's function of so many
    pictures gave anything else."""
    try:
        found = scores if isinstance(scores, Tensor) else torch.from_numpy(np.asarray(scores, np.float32))
    except (TypeError, ValueError):
        found = None
    if found is None or found.numel() != count:
        given = type(scores).__name__ if found is None else tuple(found.shape)
        raise ValueError(
            f"the metric gave {given} for {count} pictures: it should give a tensor of {count} scores, one a "
            "picture."
        )
    return found.reshape(count)


class Goal:
    """What an attack raises: sign * score of a batch of pictures, per picture."""

    def __init__(self, metric: Metric, ref: Tensor, sign: Tensor) -> None:
        self.metric, self.ref, self.sign = metric, ref, sign

    def __call__(self, pictures: Tensor) -> Tensor:
        """(N,). Raises ValueError for a metric that does not give one score a picture, or gives no gradient
        where one is asked for."""
        try:
            scores = self.metric(pictures, self.ref)
        except (RuntimeError, ValueError) as error:
            # What NumPy makes of a tensor whose gradient is wanted.
            if pictures.requires_grad and "requires grad" in str(error):
                raise ValueError(NO_GRADIENT) from None
            raise
        gain: Tensor = self.sign * one_score_each(scores, len(pictures)).to(self.sign)
        if torch.is_grad_enabled() and pictures.requires_grad and not gain.requires_grad:
            raise ValueError(NO_GRADIENT)
        return gain

    @torch.no_grad()
    def value(self, pictures: Tensor) -> Tensor:
        """(N,), without a graph."""
        return self(pictures)

    @torch.enable_grad()
    def gradient(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The goal (N,) and its gradient (N, 3, H, W)."""
        pictures = pictures.detach().requires_grad_()
        value = self(pictures)
        (slope,) = torch.autograd.grad(value.sum(), pictures)
        return value.detach(), slope

    def forms(self) -> "list[Goal]":
        """The goal by each form of the metric's gradient; itself where there is one."""
        forms = self.metric.forms if isinstance(self.metric, Forms) else (self.metric,)
        return [Goal(form, self.ref, self.sign) for form in forms]

    def only(self, index: int) -> "Goal":
        """The same goal for one picture of the batch; takes any number of versions of it."""
        ref, metric = self.ref[index : index + 1], self.metric
        return Goal(lambda pictures, _: metric(pictures, ref.expand_as(pictures)), ref, self.sign[index])


@dataclass(frozen=True, kw_only=True)
class Attack(ABC):
    """An attack's settings are its fields; data and budgets come with the call.

    Papers attack classifiers; here the score itself, times the sign of the direction, stands in the place of
    their loss (ours). What else differs from a paper its own class says.
    """

    name: ClassVar[str]
    white_box: ClassVar[bool] = True
    """Whether it needs gradients."""
    every_form: ClassVar[bool] = False
    """Whether it is the worst case over all forms of a gradient, where a metric has several."""
    revision: ClassVar[int] = 1
    """Raised where the same settings attack otherwise than before, so that kept results are not taken."""

    seed: int = 0
    """Decides all that is drawn, for each picture apart from what else is in its batch."""
    eight_bit: bool = False
    """Give pictures of whole 8-bit levels, as a file holds them; they are within the budget as well."""

    def __post_init__(self) -> None:
        of = f"{self.name}: "
        require_kinds(self, of)
        require_at_least(1, self, *filter(partial(hasattr, self), COUNTS), of=of)
        require_positive(self, *filter(partial(hasattr, self), POSITIVE), of=of)
        require_at_least(0, self, *filter(partial(hasattr, self), NOT_NEGATIVE), of=of)
        for setting in SHARES:
            value = getattr(self, setting, 1.0)
            if not 0 < value <= 1:
                raise ValueError(f"{self.name}: {setting}={value} should be above 0 and at most 1.")
        # Each restart has the seed after that of the one before.
        if not -SEEDS <= self.seed <= SEEDS - getattr(self, "restarts", 1):
            raise ValueError(f"{self.name}: seed={self.seed} should lie between -2^63 and 2^63.")

    @property
    def calls(self) -> int:
        """About how often it asks for scores of a picture, by which the time left is told."""
        return getattr(self, "restarts", 1) * (getattr(self, "queries", 0) or getattr(self, "steps", 1))

    def __call__(
        self,
        metric: Metric,
        dist: Tensor,
        ref: Tensor,
        budgets: Sequence[float],
        direction: Direction = "up",
    ) -> list[Tensor]:
        """The attacked pictures (N, 3, H, W) in [0, 1] for each of the budgets.

        Raises ValueError for budgets outside (0, 1], shapes that differ, or values outside [0, 1].
        """
        dist, ref, sign = _checked(dist, ref, budgets, direction)
        goal = Goal(metric, ref, sign)
        attacked = self.attack(goal, dist, list(budgets))
        found = [within(pictures, dist, budget) for pictures, budget in zip(attacked, budgets, strict=True)]
        if not self.eight_bit:
            return found
        # What gives the best of the pictures that it met, by their scores, does so on levels too.
        finish = partial(best_on_levels, goal) if getattr(self, "keep_best", False) else round_to_levels
        return [finish(pictures, dist, budget) for pictures, budget in zip(found, budgets, strict=True)]

    @abstractmethod
    def attack(self, goal: Goal, dist: Tensor, budgets: list[float]) -> list[Tensor]:
        """As the call; what leaves the budget or [0, 1] is brought back by the caller."""

    def settings(self) -> dict[str, Any]:
        """The name, the revision if there was more than one, and every setting, for reports; of attacks that
        it is made of as well."""
        revision = {"revision": self.revision} if self.revision > 1 else {}
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        parts = {name: value.settings() for name, value in own.items() if isinstance(value, Attack)}
        return {"attack": self.name, **revision, **own, **parts}


class SingleBudgetAttack(Attack):
    """An attack that works for one budget at a time."""

    def attack(self, goal: Goal, dist: Tensor, budgets: list[float]) -> list[Tensor]:
        return [self.attack_within(goal, dist, budget) for budget in budgets]

    @abstractmethod
    def attack_within(self, goal: Goal, dist: Tensor, budget: float) -> Tensor:
        """The attacked pictures for one budget."""


def within(pictures: Tensor, dist: Tensor, budget: float) -> Tensor:
    """The nearest pictures at most `budget` away from `dist` at every sample, and in [0, 1]."""
    low, high = (dist - budget).clamp(min=0), (dist + budget).clamp(max=1)
    return torch.minimum(torch.maximum(pictures.detach(), low), high)


def round_to_levels(pictures: Tensor, dist: Tensor, budget: float) -> Tensor:
    """Nearest 8-bit levels; where that leaves the budget, the next level towards `dist`.

    With `dist` between levels and a budget below half a level there may be none: `dist` stays as it is there.
    """
    levels = torch.round(pictures * 255)
    slack = 1e-4
    too_high = levels > (dist + budget) * 255 + slack
    too_low = levels < (dist - budget) * 255 - slack
    rounded = (levels - too_high.to(levels.dtype) + too_low.to(levels.dtype)) / 255
    fits = (rounded - dist).abs() <= budget + slack / 255
    return torch.where(fits, rounded, dist).clamp(0, 1)


def best_on_levels(goal: Goal, pictures: Tensor, dist: Tensor, budget: float) -> Tensor:
    """Of each picture the best version on 8-bit levels: `dist`, and `pictures` rounded to the nearest level,
    to the one further from `dist` and to the one nearer.

    Rounding moves samples by up to half a level, and where a metric jumps that can undo an attack.
    """
    best = round_to_levels(dist, dist, budget)
    best_values = goal.value(best)
    nearest = round_to_levels(pictures, dist, budget)
    versions = [nearest]
    if not torch.equal(nearest, pictures):
        up, down = (level(pictures * 255) / 255 for level in (torch.ceil, torch.floor))
        further, nearer = (torch.where(pictures > dist, *pair) for pair in ((up, down), (down, up)))
        versions += [round_to_levels(within(one, dist, budget), dist, budget) for one in (further, nearer)]
    for version in versions:
        best_values, best = better(goal.value(version), version, best_values, best)
    return best


def better(goal_values: Tensor, pictures: Tensor, best_values: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
    """For each picture the version with the higher goal, and that goal."""
    improved = goal_values > best_values
    return (
        torch.where(improved, goal_values, best_values),
        torch.where(improved[:, None, None, None], pictures, best),
    )


def generators(dist: Tensor, seed: int) -> list[torch.Generator]:
    """A generator for each picture, which depends on its samples and the seed only."""
    made = []
    for picture in dist:
        content = picture.detach().cpu().contiguous().numpy().tobytes()
        digest = hashlib.sha256(content + seed.to_bytes(8, "little", signed=True)).digest()
        made.append(torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True)))
    return made


def uniform_like(dist: Tensor, seed: int) -> Tensor:
    """Uniform in [-1, 1], for each picture apart."""
    drawn = [torch.rand(dist.shape[1:], generator=generator) for generator in generators(dist, seed)]
    return (2 * torch.stack(drawn) - 1).to(dist)


def random_start(dist: Tensor, budget: float, seed: int) -> Tensor:
    """Uniform within the budget, for each picture apart."""
    return within(dist + budget * uniform_like(dist, seed), dist, budget)


def check_budgets(budgets: Sequence[float]) -> None:
    """Raises ValueError for none at all, and for any outside (0, 1]."""
    if not budgets or not all(0 < budget <= 1 for budget in budgets):
        raise ValueError(f"budgets={list(budgets)} should be in (0, 1]: 8/255, not 8.")


def _checked(
    dist: Tensor, ref: Tensor, budgets: Sequence[float], direction: Direction
) -> tuple[Tensor, Tensor, Tensor]:
    if dist.shape != ref.shape or dist.ndim != 4 or dist.shape[1] != 3:
        raise ValueError(
            f"dist is {tuple(dist.shape)} and ref {tuple(ref.shape)}, but both must be RGB (N, 3, H, W)."
        )
    for label, value in (("dist", dist), ("ref", ref)):
        if not (value.min() >= 0 and value.max() <= 1):
            raise ValueError(f"{label} leaves [0, 1]: divide 0..255 data by 255.")
    check_budgets(budgets)
    if isinstance(direction, str):
        if direction not in ("up", "down"):
            raise ValueError(f"direction={direction!r} should be 'up', 'down' or signs (N,).")
        sign = torch.full((len(dist),), 1.0 if direction == "up" else -1.0).to(dist)
    else:
        sign = direction.to(dist)
        if sign.shape != (len(dist),) or not bool((sign.abs() == 1).all()):
            raise ValueError(f"direction should hold a sign, 1 or -1, for each of the {len(dist)} pictures.")
    return dist.detach(), ref.detach(), sign
