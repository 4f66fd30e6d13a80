"""Order statistics that bound a quantile of a smoothed score under every perturbation of bounded l2 size.

For f under Gaussian noise of deviation sigma, h_p(x) is the p-quantile of f(x + noise), and

    h_{p_lo}(x) <= h_p(x + d) <= h_{p_hi}(x)  for every |d|_2 <= eps,
    p_lo = Phi(Phi^-1(p) - eps / sigma), p_hi = Phi(Phi^-1(p) + eps / sigma).

Neither end is known, but order statistics of n drawn scores are beyond them with a stated probability,
exactly, by the binomial distribution. Whatever happens inside f (clamping, rounding, denoising) is covered.

n is to be fixed before the draws are looked at: who draws until an interval pleases has made a claim at every
look, and may fail at each.

Source: Chiang, Curry, Abdelkader, Kumar, Dickerson and Goldstein, "Detection as regression: certified object
detection by median smoothing", 2020.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Interval = tuple[float, float]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Ranks:
    """Which of n sorted scores bound the quantile; ranks count from 1, scores ascend."""

    n: int
    lower: int | None
    """None where no drawn score is surely below: the bound is the lower end of the range of scores."""
    upper: int | None
    """None where no drawn score is surely above."""
    lower_missed: float
    """Probability that the score of rank `lower` is above h_{p_lo}, at most; 0 for None."""
    upper_missed: float
    """Probability that the score of rank `upper` is below h_{p_hi}, at most; 0 for None."""

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


def normal_cdf(z: float) -> float:
    """Phi(z), exact to the last digits in the lower tail too, where 1 + erf(z) is not."""
    return math.erfc(-z / math.sqrt(2)) / 2


def shifted(p: float, eps: float, sigma: float) -> tuple[float, float]:
    """(p_lo, p_hi): what a perturbation of l2 size eps can make of the p-quantile, at worst."""
    z_lo, z_hi = _shifted_z(p, eps, sigma)
    return normal_cdf(z_lo), normal_cdf(z_hi)


def binomial_tails(n: int, odds: float) -> tuple[Probabilities, Probabilities]:
    """P(X <= k) and P(X >= k), each (n + 1,) for k = 0..n, of X ~ Binomial(n, p) with odds = p / (1 - p).

    The relative error of both is about 1e-12 at most, for n up to 100,000. Odds rather than p, because p next
    to 1 has lost what 1 - p was.
    """
    if odds in (0.0, math.inf):
        certain = np.arange(n + 1) == (0 if odds == 0 else n)
        weights = certain.astype(np.float64)
    else:
        mode = min(n, int((n + 1) * (odds / (1 + odds))))
        up, down = np.arange(mode, n), np.arange(mode, 0, -1)
        # Ratios of neighbours, away from the mode: nothing is subtracted and nothing can overflow.
        with np.errstate(under="ignore"):
            rising = np.cumprod((n - up) / (up + 1) * odds)
            falling = np.cumprod(down / (n - down + 1) / odds)
        weights = np.concatenate([falling[::-1], [1.0], rising])
    at_most, at_least = np.cumsum(weights), np.cumsum(weights[::-1])[::-1]
    total = weights.sum()
    return np.minimum(at_most / total, 1), np.minimum(at_least / total, 1)


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
    odds_lo, odds_hi = (_odds(z) for z in _shifted_z(p, eps, sigma))
    # The score of rank q is above the quantile where fewer than q of n are not above it, and below it where
    # at least q are below it.
    lower_missed = binomial_tails(n, odds_lo)[0][:-1]
    upper_missed = binomial_tails(n, odds_hi)[1][1:]
    low, high = np.flatnonzero(lower_missed < each), np.flatnonzero(upper_missed < each)
    return Ranks(
        n,
        int(low[-1]) + 1 if len(low) else None,
        int(high[0]) + 1 if len(high) else None,
        float(lower_missed[low[-1]]) if len(low) else 0.0,
        float(upper_missed[high[0]]) if len(high) else 0.0,
    )


def smallest_n(sigma: float, eps: float, alpha: float, p: float = 0.5, two_sided: bool = True) -> int | None:
    """How many draws it takes, at least, until `find_ranks` finds both; None above 10^12.

    The lowest of n scores bounds h_{p_lo} unless all are above it: (1 - p_lo)^n < alpha; alike at the top.
    """
    each = alpha / 2 if two_sided else alpha
    z_lo, z_hi = _shifted_z(p, eps, sigma)
    rarer = min(normal_cdf(z_lo), normal_cdf(-z_hi))
    if rarer < 1e-11:
        return None
    n = math.floor(math.log(each) / math.log1p(-rarer)) + 1
    # The quotient of two logarithms may be off by a little on either side of a whole number.
    while math.exp(n * math.log1p(-rarer)) >= each:
        n += 1
    while n > 1 and math.exp((n - 1) * math.log1p(-rarer)) < each:
        n -= 1
    return n


def smallest_sigma(n: int, eps: float, alpha: float, two_sided: bool = True) -> float | None:
    """The noise above which `find_ranks` finds both ranks for the median; None where n is too small for any.

    From (1 - p_lo)^n = alpha and p_lo = Phi(-eps / sigma).
    """
    each = alpha / 2 if two_sided else alpha
    rarer = -math.expm1(math.log(each) / n)
    return None if rarer >= 0.5 else eps / -NormalDist().inv_cdf(rarer)


def quantile_score(scores: Sequence[float] | ArrayLike, p: float = 0.5) -> float:
    """The smoothed score itself: the order statistic of rank ceil(p n), no mean of two."""
    ordered = np.sort(np.asarray(scores, np.float64))
    # 0.07 * 100 is a little above 7 in binary.
    return float(ordered[max(0, math.ceil(round(p * len(ordered), 9)) - 1)])


def _shifted_z(p: float, eps: float, sigma: float) -> tuple[float, float]:
    if not 0 < p < 1:
        raise ValueError(f"p={p} should be between 0 and 1: .5 is the median.")
    if not 0 < sigma < math.inf or not 0 <= eps < math.inf:
        raise ValueError(f"sigma={sigma} should be above 0 and eps={eps} not below it.")
    centre = NormalDist().inv_cdf(p)
    return centre - eps / sigma, centre + eps / sigma


def _odds(z: float) -> float:
    """Phi(z) / (1 - Phi(z))."""
    complement = normal_cdf(-z)
    return normal_cdf(z) / complement if complement else math.inf
