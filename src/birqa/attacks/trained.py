"""Attacks that are trained once, on other pictures, and then cost one forward pass or none."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from birqa.attacks.base import Attack, Goal, Metric

Progress = Callable[[int, float], None]
"""Called with the step and the mean gain of its batch."""


@dataclass(frozen=True, kw_only=True)
class TrainedAttack(Attack):
    """`train` first, on pictures that are not attacked afterwards; then call as any attack.

    One generator is trained for each direction, at `train_budget`; other budgets scale its output.
    """

    train_budget: float = 8 / 255
    learning_rate: float = 1e-3

    @abstractmethod
    def new_generator(self) -> nn.Module:
        """A module (N, 3, H, W) -> changes in [-1, 1], of the same shape."""

    @property
    def _trained(self) -> dict[int, nn.Module]:
        # Not a field: a generator is no setting. The dataclass is frozen, its dictionary is not.
        generators: dict[int, nn.Module] = self.__dict__.setdefault("_generators", {})
        return generators

    @torch.enable_grad()
    def train(
        self,
        metric: Metric,
        batches: Iterable[tuple[Tensor, Tensor]],
        direction: int,
        progress: Progress | None = None,
    ) -> nn.Module:
        """Train on batches (dist, ref), a step each, to push scores up (direction 1) or down (-1).

        The generator is kept for the calls that follow, and given back.
        """
        if direction not in (1, -1):
            raise ValueError(f"direction={direction!r} should be 1 (up) or -1 (down).")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            generator = self.new_generator()
        optimizer = torch.optim.Adam(generator.parameters(), lr=self.learning_rate)
        for step, (dist, ref) in enumerate(batches):
            generator.to(dist.device)
            goal = Goal(metric, ref, torch.full((len(dist),), float(direction)).to(dist))
            gain = (goal((dist + self.train_budget * generator(dist)).clamp(0, 1)) - goal.value(dist)).mean()
            optimizer.zero_grad()
            (-gain).backward()
            optimizer.step()
            if progress:
                progress(step, gain.item())
        self._trained[direction] = generator.eval().requires_grad_(False)
        return generator

    def attack(self, goal: Goal, dist: Tensor, budgets: list[float]) -> list[Tensor]:
        change = torch.zeros_like(dist)
        for direction in (1, -1):
            chosen = goal.sign == direction
            if not chosen.any():
                continue
            if direction not in self._trained:
                way = "up" if direction == 1 else "down"
                raise ValueError(
                    f"{self.name} is not trained to push scores {way}: call train(metric, batches, "
                    f"{direction}) on other pictures first."
                )
            with torch.no_grad():
                change[chosen] = self._trained[direction].to(dist.device)(dist[chosen])
        return [dist + budget * change for budget in budgets]
