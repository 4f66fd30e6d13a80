"""Quantised classification smoothing, the earlier way to certify a score: the range is cut into bins.

The bin of f(x + noise) that comes up most often is the smoothed class. It stays the most frequent one under
every |d|_2 <= eps when its probability p_A at x is at least Phi(eps / sigma), because then it is at least 1/2
at x + d. The first n0 draws choose the bin; how often the others fall into it bounds p_A from below
(Clopper-Pearson): p_A is surely that high where P(Binomial(n - n0, Phi(eps / sigma)) >= count) <= alpha.

Source: Cohen, Rosenfeld and Kolter, "Certified adversarial robustness via randomized smoothing", 2019; bins
and n0 as the lab's benchmark of certified quality metrics has them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from birqa.certify.smoothing import Interval, binomial_tails, shifted


@dataclass(frozen=True)
class Classification:
    """The settings of a classification of scores."""

    bins: int = 10
    choosing: int = 100
    """n0: the first draws, which choose the bin and count for nothing else."""
    limits: Interval = (0.0, 1.0)

    def __post_init__(self) -> None:
        low, high = self.limits
        if self.bins < 2 or self.choosing < 1 or not -np.inf < low < high < np.inf:
            raise ValueError(
                f"{self.bins} bins should be at least 2, {self.choosing} choosing draws at least 1, "
                f"and the range {low:g}..{high:g} finite."
            )

    def bin_of(self, scores: ArrayLike) -> NDArray[np.int64]:
        """Bins 0..bins-1 of scores of any shape; the top of the range belongs to the last."""
        low, high = self.limits
        values = (np.asarray(scores, np.float64) - low) / (high - low) * self.bins
        return np.clip(np.floor(values), 0, self.bins - 1).astype(np.int64)

    def edges(self, index: int) -> Interval:
        """The bin's ends."""
        low, high = self.limits
        step = (high - low) / self.bins
        return low + index * step, high if index == self.bins - 1 else low + (index + 1) * step


@dataclass(frozen=True)
class Classified:
    """A smoothed class."""

    index: int
    """The bin that came up most often among the choosing draws."""
    score: float
    """The bin's middle, also where it abstains."""
    low: float
    high: float
    """The bin where it is certified at the radius, else the range of scores."""
    certified: bool
    abstains: bool
    """Not even without a perturbation is the bin surely the most frequent: the score stands for nothing."""


def classify(
    scores: ArrayLike,
    sigma: float,
    eps: float,
    alpha: float,
    settings: Classification = Classification(),
) -> Classified:
    """The class of n drawn scores, in the order of their draws, and whether it holds within l2 radius eps.

    It holds with probability 1 - alpha. Raises ValueError for too few scores and settings out of range.
    """
    indices = settings.bin_of(scores)
    if indices.ndim != 1 or len(indices) <= settings.choosing or not 0 < alpha < 1:
        raise ValueError(
            f"{indices.size} scores should be more than the {settings.choosing} that choose the bin, "
            f"and alpha={alpha} between 0 and 1."
        )
    votes = np.bincount(indices[: settings.choosing], minlength=settings.bins)
    chosen = int(votes.argmax())
    deciding = indices[settings.choosing :]
    count = int((deciding == chosen).sum())
    certified = surely_at_least(count, len(deciding), sigma, eps, alpha)
    bottom, top = settings.edges(chosen)
    low, high = (bottom, top) if certified else settings.limits
    return Classified(
        chosen,
        (bottom + top) / 2,
        low,
        high,
        certified,
        abstains=not surely_at_least(count, len(deciding), sigma, 0.0, alpha),
    )


def surely_at_least(count: int, n: int, sigma: float, eps: float, alpha: float) -> bool:
    """Whether `count` of n hits show, at 1 - alpha, a probability of at least Phi(eps / sigma)."""
    lower, upper = shifted(0.5, eps, sigma)
    if lower == 0:
        return False
    return bool(binomial_tails(n, upper / lower)[1][count] <= alpha)
