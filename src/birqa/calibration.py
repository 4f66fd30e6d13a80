"""Prediction intervals: where a picture's human rating lies, given its score.

Source: split-conformal prediction, Vovk et al., "Algorithmic learning in a random world", 2005; per bin of
the score ("Mondrian"), because a metric errs more in the middle of its range than at its ends.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PredictionInterval:
    """A score in bin k lies within `radius[k]` of the rating with probability `coverage`.

    The promise holds for pictures like those of the calibration data, on average over them, not for each one.
    """

    coverage: float
    edges: tuple[float, ...]
    """Inner edges of the bins of the score, rising."""
    radius: tuple[float, ...]
    """One more than edges; in units of the score."""
    measured: float
    """Share of ratings inside the interval on references that were not used to calibrate."""
    data: str

    def __call__(self, scores: np.ndarray | Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Scores (N,) -> low and high ends (N,), both in [0, 1]."""
        values = np.asarray(scores, np.float64)
        radius = np.asarray(self.radius)[np.searchsorted(self.edges, values, side="right")]
        return np.clip(values - radius, 0, 1), np.clip(values + radius, 0, 1)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "PredictionInterval":
        if len(record["radius"]) != len(record["edges"]) + 1:
            raise ValueError("the interval should have a radius for each bin of the score")
        return cls(
            float(record["coverage"]),
            tuple(map(float, record["edges"])),
            tuple(map(float, record["radius"])),
            float(record["measured"]),
            str(record["data"]),
        )


def draw_ratings(mos: np.ndarray, std: np.ndarray, seed: int = 0) -> np.ndarray:
    """Ratings of single pictures (N,) where `mos` is only the mean over many and `std` their spread."""
    return mos + std * np.random.default_rng(seed).standard_normal(len(mos))


def calibrate(
    scores: np.ndarray,
    ratings: np.ndarray,
    refs: Sequence[str],
    *,
    coverage: float = 0.9,
    bins: int = 5,
    data: str = "",
    seed: int = 0,
) -> PredictionInterval:
    """Fit on a random half of the references, measure the coverage on the other half.

    `ratings` are on the scale of the scores. Raises ValueError for a coverage outside (0, 1), fewer than two
    references, or too few pairs for the bins.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage={coverage:g} should be between 0 and 1, such as 0.9.")
    scores, ratings = np.asarray(scores, np.float64), np.asarray(ratings, np.float64)
    names = np.unique(np.asarray(refs))
    if len(names) < 2:
        raise ValueError("calibration needs at least two references: half of them check what the others say.")
    chosen = np.random.default_rng(seed).permutation(names)[: len(names) // 2]
    fitted = np.isin(np.asarray(refs), chosen)
    # Where many scores are equal, so are some edges, or they are the least score: bins would be empty.
    quantiles = np.unique(np.quantile(scores[fitted], np.arange(1, bins) / bins))
    edges = tuple(quantiles[quantiles > scores[fitted].min()].tolist())
    place = np.searchsorted(edges, scores, side="right")
    errors = np.abs(scores - ratings)
    radius = []
    for index in range(len(edges) + 1):
        inside = np.sort(errors[fitted & (place == index)])
        # The rank that makes the promise exact for exchangeable pairs.
        rank = int(np.ceil((len(inside) + 1) * coverage))
        if rank > len(inside):
            raise ValueError(
                f"{len(scores)} pairs, {int(fitted.sum())} to set the interval and the others to measure it, "
                f"are too few for {bins} bins at coverage {coverage:g}, of which each needs "
                f"{int(np.ceil(coverage / (1 - coverage)))} to set it: give more, or a lower coverage."
            )
        radius.append(float(inside[rank - 1]))
    interval = PredictionInterval(coverage, edges, tuple(radius), 0.0, data)
    low, high = interval(scores[~fitted])
    held_out = np.clip(ratings[~fitted], 0, 1)
    measured = float(np.mean((low <= held_out) & (held_out <= high)))
    return replace(interval, measured=measured)
