"""What an attack did to a metric, from scores before and after it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from birqa.evaluation.agreement import (
    RESAMPLES,
    Interval,
    bootstrap_interval,
    resample_references,
    spearman,
)
from birqa.evaluation.correlation import correlate

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class UnderAttack:
    """One attack at one budget, on n pictures; each figure with its 95 % interval (references resampled)."""

    n: int
    srocc: float
    srocc_interval: Interval
    gain: float
    """Mean change of the score in the direction of the attack."""
    gain_interval: Interval
    relative_gain: float
    """The gain as a share of the range of the clean scores, which is taken as it is in the interval too."""
    relative_gain_interval: Interval

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    before: ArrayLike,
    after: ArrayLike,
    mos: ArrayLike,
    sign: ArrayLike,
    refs: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> UnderAttack:
    """`sign` (n,) is where each picture was pushed: 1 up, -1 down; all the others are (n,) too.

    Raises ValueError for fewer than 3 pictures and for scores that are not finite.
    """
    clean, attacked, ratings = (np.asarray(values, np.float64) for values in (before, after, mos))
    moved = np.asarray(sign, np.float64) * (attacked - clean)
    spread = float(np.ptp(clean))
    drawn = resample_references(refs, resamples, seed)
    gains = bootstrap_interval([float(moved[picked].mean()) for picked in drawn])
    nowhere = float("nan")
    # Where an attack has made all scores one, no rank is left; the rest of the check still stands.
    alike = len(attacked) > 2 and np.isfinite(attacked).all() and not np.ptp(attacked)
    return UnderAttack(
        len(moved),
        0.0 if alike else correlate(attacked.tolist(), ratings.tolist()).srocc,
        bootstrap_interval([spearman(attacked[picked], ratings[picked]) for picked in drawn]),
        float(moved.mean()),
        gains,
        float(moved.mean() / spread) if spread else nowhere,
        (gains[0] / spread, gains[1] / spread) if spread else (nowhere, nowhere),
    )


def common_domain(scores: ArrayLike, clean: ArrayLike, common: ArrayLike) -> Scores:
    """Map one metric's scores to a domain that several share, by quantiles.

    The map takes the quantiles of the metric's `clean` scores to those of `common` (ratings of the same
    pictures, say): in one dimension, the optimal transport between the two. Beyond the clean scores it goes
    on as a straight line with the slope of the two ranges, so that no change is hidden. Raises ValueError
    for clean scores that are all alike.
    """
    source, target = (np.sort(np.asarray(values, np.float64)) for values in (clean, common))
    levels = np.linspace(0, 1, max(len(source), 2))
    known, first = np.unique(source, return_index=True)
    if len(known) < 2:
        raise ValueError(f"all clean scores are {known[0]:g}: they span no domain.")
    # Scores that several pictures share go to the middle of their quantiles.
    last = np.append(first[1:], len(source)) - 1
    quantiles = 0.5 * (levels[first] + levels[last])
    values = np.quantile(target, quantiles)
    wanted = np.asarray(scores, np.float64)
    slope = (target[-1] - target[0]) / (known[-1] - known[0])
    inside = np.interp(wanted, known, values)
    beyond = np.maximum(wanted - known[-1], 0) + np.minimum(wanted - known[0], 0)
    return np.asarray(inside + slope * beyond)


def ir_score(
    budgets: Sequence[float], defended: Mapping[float, ArrayLike], base: Mapping[float, ArrayLike]
) -> float:
    """Integral robustness: 1 - integral of |change| of the defended metric / that of the base, over budgets.

    `defended` and `base` hold the changes of the scores, on one domain, by budget; with no budget nothing
    changes. 1: nothing moves the defended metric; 0: it is as weak as the base; below 0: weaker; NaN: the
    base did not move either. The name is the paper's (Chistyakova et al. 2024); this form is ours, as theirs
    could not be found.
    """
    undefended = integral_change(budgets, base)
    return 1 - integral_change(budgets, defended) / undefended if undefended else float("nan")


def integral_change(budgets: Sequence[float], changes: Mapping[float, ArrayLike]) -> float:
    """The absolute form: the mean of |change| over budgets from 0 to the largest (trapezoids)."""
    steps = sorted(budgets)
    if not steps or steps[0] <= 0:
        raise ValueError(f"budgets={list(budgets)} should be positive.")
    means = [0.0] + [float(np.abs(np.asarray(changes[budget])).mean()) for budget in steps]
    return float(trapezoid(means, [0.0, *steps]) / steps[-1])
