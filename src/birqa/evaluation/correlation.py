"""Correlations between scores and mean opinion scores."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Correlation:
    """Spearman's, Pearson's (no fitted curve) and Kendall's (tau-b) correlation over n pairs, in [-1, 1]."""

    srocc: float
    plcc: float
    krocc: float
    n: int


def correlate(scores: Sequence[float], mos: Sequence[float]) -> Correlation:
    """Raises ValueError for fewer than 3 pairs, different lengths, or constant scores or ratings."""
    try:
        from scipy import stats
    except ImportError:
        raise ImportError('correlations need SciPy: pip install "birqa[eval]".') from None

    if len(scores) != len(mos):
        raise ValueError(f"{len(scores)} scores but {len(mos)} ratings.")
    if len(scores) < 3:
        raise ValueError(f"a correlation needs at least 3 rated pairs, but there are {len(scores)}.")
    for label, values in (("scores", scores), ("ratings", mos)):
        if min(values) == max(values):
            raise ValueError(f"all {label} are {values[0]:g}: there is nothing to correlate.")
    return Correlation(
        float(stats.spearmanr(scores, mos).statistic),
        float(stats.pearsonr(scores, mos).statistic),
        float(stats.kendalltau(scores, mos).statistic),
        len(scores),
    )
