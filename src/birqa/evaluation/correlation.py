"""Correlations between scores and mean opinion scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Correlation:
    """Spearman's, Pearson's (no fitted curve) and Kendall's (tau-b) correlation over n pairs, in [-1, 1]."""

    srocc: float
    plcc: float
    krocc: float
    n: int


def require_scipy() -> Any:
    """scipy.stats. Raises ImportError, in one sentence, where SciPy is missing."""
    try:
        from scipy import stats
    except ImportError:
        raise ImportError('correlations need SciPy: pip install "birqa[eval]".') from None
    return stats


def correlate(scores: Sequence[float], mos: Sequence[float]) -> Correlation:
    """Raises ValueError for fewer than 3 pairs, different lengths, and constant or infinite values."""
    stats = require_scipy()
    if len(scores) != len(mos):
        raise ValueError(f"{len(scores)} scores but {len(mos)} ratings.")
    if len(scores) < 3:
        raise ValueError(f"a correlation needs at least 3 rated pairs, but there are {len(scores)}.")
    for label, values in (("scores", scores), ("ratings", mos)):
        if not all(map(math.isfinite, values)):
            raise ValueError(f"some {label} are not finite: leave these pairs out.")
        if min(values) == max(values):
            raise ValueError(f"all {label} are {values[0]:g}: there is nothing to correlate.")
    return Correlation(
        float(stats.spearmanr(scores, mos).statistic),
        float(stats.pearsonr(scores, mos).statistic),
        float(stats.kendalltau(scores, mos).statistic),
        len(scores),
    )
