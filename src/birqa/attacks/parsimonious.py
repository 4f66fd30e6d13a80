"""Parsimonious attack: a discrete search over blocks of +-budget, without gradients."""

import heapq
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from birqa.attacks.base import Goal, SingleBudgetAttack, generators, within

_Block = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Parsimonious(SingleBudgetAttack):
    """Moon et al. (2019): which blocks of each channel get +budget, the others getting -budget.

    Lazy greedy insertion, then deletion, over blocks of `block` pixels in mini-batches of `blocks_at_once`;
    then blocks are cut in four and it begins again, until `queries` scores are asked for.
    """

    name: ClassVar[str] = "parsimonious"
    white_box: ClassVar[bool] = False
    revision: ClassVar[int] = 2
    keep_best: ClassVar[bool] = True

    queries: int = 10_000
    block: int = 32
    blocks_at_once: int = 64
    batch: int = 8
    """Pictures in one call of the metric."""

    def attack_within(self, goal: Goal, dist: Tensor, budget: float) -> Tensor:
        found = [
            _Search(self, goal.only(index), dist[index : index + 1], budget).run(generator)
            for index, generator in enumerate(generators(dist, self.seed))
        ]
        return torch.cat(found)


class _Search:
    """The search on one picture; `signs` says what every sample gets."""

    def __init__(self, settings: Parsimonious, goal: Goal, dist: Tensor, budget: float) -> None:
        self.settings, self.goal, self.dist, self.budget = settings, goal, dist, budget
        self.signs = -torch.ones_like(dist)
        self.left = settings.queries
        clean, minus = self._values([torch.zeros_like(dist), self.signs])
        self.clean, self.value = clean, minus

    def run(self, generator: torch.Generator) -> Tensor:
        side = self.settings.block
        while side >= 1 and self.left > 0:
            blocks = [
                (channel, top, left)
                for channel in range(3)
                for top in range(0, self.dist.shape[-2], side)
                for left in range(0, self.dist.shape[-1], side)
            ]
            order = torch.randperm(len(blocks), generator=generator).tolist()
            for start in range(0, len(order), self.settings.blocks_at_once):
                chosen = [blocks[index] for index in order[start : start + self.settings.blocks_at_once]]
                self._flip_where_it_helps([b for b in chosen if self._sign(b) < 0], side)
                self._flip_where_it_helps([b for b in chosen if self._sign(b) > 0], side)
            side //= 2
        return self._picture(self.signs) if self.value > self.clean else self.dist

    def _flip_where_it_helps(self, blocks: list[_Block], side: int) -> None:
        """Lazy greedy: the gain of a flip, once known, is taken as the most it can be later."""
        gains = self._gains(blocks, side)
        heap = [(-gain, block) for gain, block in zip(gains, blocks, strict=False)]
        heapq.heapify(heap)
        fresh = True
        while heap:
            expected, block = heapq.heappop(heap)
            if not fresh:
                again = self._gains([block], side)
                if not again:
                    return
                expected = -again[0]
                if heap and expected > heap[0][0]:
                    heapq.heappush(heap, (expected, block))
                    continue
            if expected >= 0:
                return
            self._flip(self.signs, block, side)
            self.value -= expected
            fresh = False

    def _gains(self, blocks: list[_Block], side: int) -> list[float]:
        """Of as many of the blocks as there are queries left for."""
        gains: list[float] = []
        for start in range(0, len(blocks), self.settings.batch):
            tried = []
            for block in blocks[start : start + self.settings.batch][: self.left]:
                signs = self.signs.clone()
                self._flip(signs, block, side)
                tried.append(signs)
            if not tried:
                break
            gains += [value - self.value for value in self._values(tried)]
        return gains

    def _values(self, signs: list[Tensor]) -> list[float]:
        self.left -= len(signs)
        values: list[float] = self.goal.value(torch.cat([self._picture(s) for s in signs])).tolist()
        return values

    def _picture(self, signs: Tensor) -> Tensor:
        return within(self.dist + self.budget * signs, self.dist, self.budget)

    def _sign(self, block: _Block) -> float:
        return float(self.signs[(0, *block)])

    @staticmethod
    def _flip(signs: Tensor, block: _Block, side: int) -> None:
        channel, top, left = block
        signs[0, channel, top : top + side, left : left + side] *= -1
