"""Order statistics that bound a quantile of a smoothed score under every perturbation of bounded l2 size.

For f under Gaussian noise of deviation sigma, h_p(x) is the p-quantile of f(x + noise), and

    h_{p_lo}(x) <= h_p(x + d) <= h_{p_hi}(x)  for every |d|_2 <= eps,
    p_lo = Phi(Phi^-1(p) - eps / sigma), p_hi = Phi(Phi^-1(p) + eps / sigma).

Neither end is known, but order statistics of n drawn scores are beyond them with a stated probability,
exactly, by the binomial distribution. Whatever happens inside f (clamping, rounding, denoising) is covered.

Source: Chiang, Curry, Abdelkader, Kumar, Dickerson and Goldstein, "Detection as regression: certified object
detection by median smoothing", 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, norm

Interval = tuple[float, float]


@dataclass(frozen=True)
class Ranks:
    """Which of n sorted scores bound the quantile; ranks count from 1, scores ascend."""

    n: int
    lower: int | None
    """None where no drawn score is surely below: the bound is the lower end of the range of scores."""
    upper: int | None
    """None where no drawn score is surely above."""
    lower_coverage: float
    """Probability that the score of rank `lower` is below h_{p_lo}, at least; 1 for None."""
    upper_coverage: float

    @property
    def coverage(self) -> float:
        """Probability that both bounds hold at once, at least (union bound)."""
        return max(0.0, self.lower_coverage + self.upper_coverage - 1)

    def interval(self, scores: ArrayLike, limits: Interval = (0.0, 1.0)) -> Interval:
        """The bounds from n drawn scores, in any order; `limits` are the ends of the range of scores."""
        ordered = np.sort(np.asarray(scores, np.float64))
        if ordered.shape != (self.n,):
            raise ValueError(f"{ordered.size} scores, but the ranks are those of {self.n}.")
        low, high = limits
        return (
            low if self.lower is None else float(ordered[self.lower - 1]),
            high if self.upper is None else float(ordered[self.upper - 1]),
        )


def shifted(p: float, eps: float, sigma: float) -> tuple[float, float]:
    """(p_lo, p_hi): what a perturbation of l2 size eps can make of the p-quantile, at worst."""
    if not 0 < p < 1:
        raise ValueError(f"p={p} should be between 0 and 1: .5 is the median.")
    if not sigma > 0 or not eps >= 0:
        raise ValueError(f"sigma={sigma} should be above 0 and eps={eps} not below it.")
    centre = norm.ppf(p)
    return float(norm.cdf(centre - eps / sigma)), float(norm.cdf(centre + eps / sigma))


def find_ranks(
    n: int, sigma: float, eps: float, alpha: float, p: float = 0.5, two_sided: bool = True
) -> Ranks:
    """Ranks of n scores that bound the p-quantile for every perturbation of l2 size up to eps.

    With `two_sided` both bounds hold at once with probability 1 - alpha, each with 1 - alpha / 2; without,
    each of them holds with 1 - alpha, as the papers count. Raises ValueError for arguments out of range.
    """
    if n < 1 or not 0 < alpha < 1:
        raise ValueError(f"n={n} should be at least 1 and alpha={alpha} between 0 and 1.")
    each = alpha / 2 if two_sided else alpha
    p_lo, p_hi = shifted(p, eps, sigma)
    ranks: NDArray[np.int64] = np.arange(1, n + 1)
    # The score of rank q is at most the quantile where at least q of n fall below it, and at least it where
    # fewer than q do. Survival functions are exact where 1 - cdf would be rounded away.
    below = binom.sf(ranks - 1, n, p_lo)
    above_missed = binom.sf(ranks - 1, n, p_hi)
    low = np.flatnonzero(1 - below < each)
    high = np.flatnonzero(above_missed < each)
    lower = int(ranks[low[-1]]) if len(low) else None
    upper = int(ranks[high[0]]) if len(high) else None
    return Ranks(
        n,
        lower,
        upper,
        float(below[lower - 1]) if lower else 1.0,
        float(1 - above_missed[upper - 1]) if upper else 1.0,
    )


def quantile_score(scores: Sequence[float] | ArrayLike, p: float = 0.5) -> float:
    """The smoothed score itself: the order statistic of rank ceil(p n), no mean of two."""
    ordered = np.sort(np.asarray(scores, np.float64))
    return float(ordered[max(0, int(np.ceil(p * len(ordered))) - 1)])
