"""The monotone curve that maps a metric's scores to the scale of human ratings.

Source: VQEG, "Final report from the Video Quality Experts Group on the validation of objective models of
video quality assessment", 2000 (four-parameter logistic); Sheikh, Sabir and Bovik, IEEE TIP 2006 (five).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Logistic:
    """low + (high - low) / (1 + exp(-(x - centre) / width)); rising where width > 0."""

    low: float
    high: float
    centre: float
    width: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        # Clipped, because exp of a far outlier would overflow to a warning.
        steps = np.clip((np.asarray(scores, np.float64) - self.centre) / self.width, -60, 60)
        return self.low + (self.high - self.low) / (1 + np.exp(-steps))


def fit_logistic(scores: np.ndarray, mos: np.ndarray) -> Logistic:
    """The least-squares curve from scores (N,) to ratings (N,).

    Raises ValueError for fewer than 4 pairs, values that are not finite, or constant scores.
    """
    from scipy.optimize import least_squares

    scores, mos = np.asarray(scores, np.float64), np.asarray(mos, np.float64)
    if len(scores) < 4:
        raise ValueError(f"a logistic fit needs at least 4 rated pairs, but there are {len(scores)}.")
    if not (np.isfinite(scores).all() and np.isfinite(mos).all()):
        raise ValueError("some scores or ratings are not finite: leave these pairs out.")
    spread = scores.std()
    if spread == 0:
        raise ValueError(f"all scores are {scores[0]:g}: there is nothing to fit.")
    # Standard scores, so that the start and the steps suit any metric's scale.
    standard = (scores - scores.mean()) / spread
    sign = 1.0 if np.corrcoef(standard, mos)[0, 1] >= 0 else -1.0

    def curve(parameters: np.ndarray) -> Logistic:
        low, high, centre, log_width = parameters
        return Logistic(low, high, centre, sign * float(np.exp(np.clip(log_width, -6, 6))))

    # A narrow start finds steps, a wide one finds tails; the better of them is kept.
    fits = [
        least_squares(lambda p: curve(p)(standard) - mos, [mos.min(), mos.max(), 0.0, start], max_nfev=2000)
        for start in (-1.5, -0.5, 0.5)
    ]
    best = curve(min(fits, key=lambda fit: fit.cost).x)
    return Logistic(
        float(best.low),
        float(best.high),
        float(best.centre * spread + scores.mean()),
        float(best.width * spread),
    )
