"""How well metrics agree with people on one set of rated pairs, with intervals and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from birqa.evaluation.correlation import correlate, require_scipy
from birqa.evaluation.logistic import fit_logistic

RESAMPLES = 1000
# A bootstrap of fewer references repeats itself: its intervals would look far too certain.
MIN_REFERENCES = 5
# With fewer, a percentile interval holds the truth less often than it says.
MANY_REFERENCES = 20
Interval = tuple[float, float]
"""Ends of the 95 % interval: percentiles 2.5 and 97.5 of the bootstrap."""


@dataclass(frozen=True)
class Agreement:
    """One metric against the ratings of n pairs.

    `plcc` is Pearson's correlation of the raw scores, `plcc_fitted` of the scores after the logistic curve
    that fits them best to the ratings, `rmse` the error left by that curve in units of the ratings.
    """

    metric: str
    n: int
    srocc: float
    krocc: float
    plcc: float
    plcc_fitted: float
    rmse: float
    intervals: dict[str, Interval | None]
    """95 % interval of each figure above, by its name; None where there are fewer than 5 references."""
    srocc_by: dict[str, dict[str, float]] = field(default_factory=dict)
    """SROCC within each group: column ("type", "level") -> value -> SROCC."""
    srocc_splits: list[float] = field(default_factory=list)
    """SROCC on the test part of each random 6:2:2 split by reference, seeds 0, 1, ..."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """SROCC of `metric` minus SROCC of `other` on the same pairs and the same resamples.

    `median`, `interval` and `significant` are None where there are fewer than 5 references.
    """

    metric: str
    other: str
    median: float | None
    interval: Interval | None

    @property
    def significant(self) -> bool | None:
        """The paper's rule: `metric` is better when the whole 95 % interval is above zero."""
        return None if self.interval is None else self.interval[0] > 0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "significant": self.significant}


@dataclass(frozen=True)
class Study:
    """Every metric on the same pairs; `differences` are those of the first metric to each of the others."""

    agreements: list[Agreement]
    differences: list[Difference]


def study_agreement(
    scores: Mapping[str, Sequence[float]],
    mos: Sequence[float],
    refs: Sequence[str],
    groups: Mapping[str, Sequence[str]] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    splits: int = 0,
) -> Study:
    """Compare metrics, each with a score for every pair (larger is better), with the ratings `mos`.

    The bootstrap draws references with all their pairs, the same ones for every metric; the logistic curves
    are fitted once, on all pairs. `groups` names further columns ("type") for SROCC within each value.
    `splits` asks for SROCC on the test parts of so many random splits. Fewer than 5 references give no
    intervals. Raises ValueError where nothing can be correlated.

    Source: paired bootstrap and its rule, BiRQA appendix C.5, there over pictures, here over references,
    because pairs of one reference are not independent.
    """
    stats = require_scipy()
    ratings = np.asarray(mos, np.float64)
    tests = draw_tests(refs, splits)
    samples = resample_references(refs, resamples, seed) if enough_references(refs) else []
    agreements, sroccs = [], []
    for name, values in scores.items():
        column = np.asarray(values, np.float64)
        try:
            whole = correlate(column.tolist(), ratings.tolist())
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        fitted = fit_logistic(column, ratings)(column)
        figures: dict[str, list[float]] = {
            key: [] for key in ("srocc", "krocc", "plcc", "plcc_fitted", "rmse")
        }
        for picked in samples:
            score, fit, rating = column[picked], fitted[picked], ratings[picked]
            figures["srocc"].append(spearman(score, rating))
            # As of the others, 0 where a resample is of one picture alone.
            figures["krocc"].append(float(np.nan_to_num(stats.kendalltau(score, rating).statistic)))
            figures["plcc"].append(_pearson(score, rating))
            figures["plcc_fitted"].append(_pearson(fit, rating))
            figures["rmse"].append(_rmse(fit, rating))
        sroccs.append(np.array(figures["srocc"]))
        agreements.append(
            Agreement(
                name,
                whole.n,
                whole.srocc,
                whole.krocc,
                whole.plcc,
                _pearson(fitted, ratings),
                _rmse(fitted, ratings),
                {key: bootstrap_interval(value) if samples else None for key, value in figures.items()},
                {
                    label: srocc_within(column, ratings, np.asarray(values))
                    for label, values in (groups or {}).items()
                },
                [spearman(column[test], ratings[test]) for test in tests],
            )
        )
    first, *others = agreements
    gaps = [sroccs[0] - srocc for srocc in sroccs[1:]]
    differences = [
        Difference(first.metric, other.metric, float(np.median(gap)), bootstrap_interval(gap))
        if samples
        else Difference(first.metric, other.metric, None, None)
        for other, gap in zip(others, gaps, strict=True)
    ]
    return Study(agreements, differences)


def enough_references(refs: Sequence[str]) -> bool:
    """Whether an interval over these references means anything."""
    return len(set(refs)) >= MIN_REFERENCES


def draw_tests(refs: Sequence[str], splits: int) -> list[np.ndarray]:
    """Which pairs are in the test part of each random 6:2:2 split, seeds 0, 1, ...

    Raises ValueError where there are too few references for that.
    """
    tests = [split_references(refs, seed) == "test" for seed in range(splits)]
    if splits and not (enough_references(refs) and min(test.sum() for test in tests) >= 3):
        raise ValueError(
            f"{len(set(refs))} references with {len(refs)} pairs are too few for random splits: at least "
            f"{MIN_REFERENCES} are needed, and 3 pairs in every test part; leave the splits out."
        )
    return tests


def split_references(refs: Sequence[str], seed: int, shares: tuple[int, int, int] = (6, 2, 2)) -> np.ndarray:
    """The split ("train", "val" or "test") of each pair: references drawn in `shares`, never divided."""
    names = np.unique(np.asarray(refs))
    order = np.random.default_rng(seed).permutation(len(names))
    ends = np.rint(np.cumsum(shares) / sum(shares) * len(names)).astype(int)
    split_of = {
        names[index]: ("train", "val", "test")[int(np.searchsorted(ends, place, side="right"))]
        for place, index in enumerate(order)
    }
    return np.array([split_of[ref] for ref in refs])


def resample_references(refs: Sequence[str], resamples: int, seed: int) -> list[np.ndarray]:
    """Row numbers of each resample: references drawn with replacement, with all their rows."""
    rng = np.random.default_rng(seed)
    names = np.asarray(refs)
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    return [
        np.concatenate([members[index] for index in rng.integers(len(members), size=len(members))])
        for _ in range(resamples)
    ]


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    norm = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / norm) if norm else 0.0


def spearman(scores: np.ndarray, ratings: np.ndarray) -> float:
    """SROCC, quick enough for a bootstrap; 0 where all of one are alike."""
    stats = require_scipy()
    return _pearson(stats.rankdata(scores), stats.rankdata(ratings))


def _rmse(fitted: np.ndarray, ratings: np.ndarray) -> float:
    return float(np.sqrt(np.mean((fitted - ratings) ** 2)))


def bootstrap_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """The 95 % percentile interval of a bootstrapped figure."""
    low, high = np.percentile(np.asarray(values), [2.5, 97.5])
    return float(low), float(high)


def srocc_within(scores: np.ndarray, ratings: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Groups too small or constant are left out."""
    within = {}
    for group in sorted(np.unique(groups), key=lambda name: (len(name), name)):
        chosen = groups == group
        if chosen.sum() >= 3 and np.ptp(scores[chosen]) and np.ptp(ratings[chosen]):
            within[str(group)] = spearman(scores[chosen], ratings[chosen])
    return within
