"""Does a picture look optimised against the metric, so that it scores higher? Needs no torch.

A picture that was changed to please one metric pleases others less: a hardened metric, the same metric after
both pictures are washed by JPEG or a blur, which take fine changes away, or are moved by some pixels, off the
grid of patches that the changes were made for, and the plain squared error. How far these disagree is one
figure, the suspicion, by logistic regression on clean and on attacked pictures; its threshold is set on clean
pictures that the regression did not see.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from birqa.codecs import through_codec
from birqa.images import to_float
from birqa.metric import FullReferenceMetric, create_metric
from birqa.registry import WEIGHTS, find_model

DETECTOR = WEIGHTS / "audit.json"
MOVES = ((2, 6), (6, 2))
"""Rows up and columns left: whole cells of the means that the metrics take first, for a picture may differ
from its reference on one grid of them and not on the next without anybody's intent; no whole patches. Upright
or level structures may come to lie otherwise on the patches after one of them, with no attack at all; an
attack loses its hold after both."""
_BLUR = ImageFilter.Kernel((3, 3), [1, 2, 1, 2, 4, 2, 1, 2, 1])

Picture = NDArray[np.generic]
"""(H, W, 3), as `birqa.load_image` gives it."""


@dataclass(frozen=True)
class Views:
    """Scores of one pair, as it is, washed and moved."""

    plain: float
    hardened: float
    plain_jpeg: float
    plain_blur: float
    plain_moved: float
    """The highest after one of `MOVES`."""
    hardened_jpeg: float
    hardened_blur: float
    mse: float
    """Mean squared difference of the samples in [0, 1]."""

    def features(self) -> NDArray[np.float64]:
        """(F,): the score, and how far the other views differ from it."""
        gaps = [
            self.plain - self.hardened,
            self.plain - self.plain_jpeg,
            self.plain - self.plain_blur,
            self.plain - self.plain_moved,
            self.hardened - self.hardened_jpeg,
            self.hardened - self.hardened_blur,
            # Seldom below half a grey level, and then it says nothing.
            np.log10(self.mse + 4e-6) / 5,
        ]
        level = self.plain - 0.5
        return np.array([level, level**2, *gaps, *(level * gap for gap in gaps)])


@dataclass(frozen=True)
class Verdict:
    """What an audit says of one pair."""

    views: Views
    suspicion: float
    """Log-odds of the regression."""
    threshold: float
    """Passed by the stated share of clean pictures only."""

    @property
    def optimised(self) -> bool:
        """Whether the picture looks optimised against the plain metric."""
        return self.suspicion > self.threshold

    def to_dict(self) -> dict[str, Any]:
        return {
            "optimised": self.optimised,
            "suspicion": self.suspicion,
            "threshold": self.threshold,
            **asdict(self.views),
        }


@dataclass(frozen=True)
class Detector:
    """The regression, and the metrics that it was fitted to."""

    plain: str
    hardened: str
    fingerprints: tuple[str, str]
    weights: tuple[float, ...]
    """Of `Views.features`, the last one the constant."""
    threshold: float
    false_alarms: float
    """Share of clean pictures beyond the threshold, as it was set."""

    def suspicion(self, views: Views) -> float:
        return float(views.features() @ self.weights[:-1] + self.weights[-1])

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def load_detector(path: Path = DETECTOR) -> Detector:
    """Raises ValueError where it was fitted to other weights than those installed."""
    record = json.loads(path.read_text(encoding="utf-8"))
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
    }
    detector = Detector(**fields)
    installed = tuple(find_model(name).fingerprint for name in (detector.plain, detector.hardened))
    if installed != detector.fingerprints:
        raise ValueError(f"{path} was fitted to other weights: run benchmarks/audit.py again.")
    return detector


class Auditor:
    """`Auditor()(dist, ref)` looks at one pair of arrays as `birqa.load_image` gives them."""

    def __init__(self, detector: Detector | None = None, threads: int | None = None) -> None:
        self.detector = detector or load_detector()
        self.look = Viewer(
            create_metric(self.detector.plain, threads=threads),
            create_metric(self.detector.hardened, threads=threads),
        )

    def __call__(self, dist: Picture, ref: Picture) -> Verdict:
        """Raises ValueError for pictures that cannot be compared."""
        views = self.look(dist, ref)
        return Verdict(views, self.detector.suspicion(views), self.detector.threshold)


@dataclass(frozen=True)
class Viewer:
    """Scores a pair in all its views."""

    plain: FullReferenceMetric
    hardened: FullReferenceMetric

    def __call__(self, dist: Picture, ref: Picture) -> Views:
        pairs = [(dist, ref), *((wash(dist), wash(ref)) for wash in (_through_jpeg, _blurred))]
        plain, plain_jpeg, plain_blur = (float(self.plain(*pair)[0]) for pair in pairs)
        hardened, hardened_jpeg, hardened_blur = (float(self.hardened(*pair)[0]) for pair in pairs)
        plain_moved = max(float(self.plain(_moved(dist, by), _moved(ref, by))[0]) for by in MOVES)
        mse = float(np.mean(np.square(to_float(dist) - to_float(ref))))
        return Views(plain, hardened, plain_jpeg, plain_blur, plain_moved, hardened_jpeg, hardened_blur, mse)


def fit(clean: Sequence[Views], attacked: Sequence[Views]) -> tuple[float, ...]:
    """Weights of the regression, last the constant. Both sides count the same, whatever their numbers."""
    from scipy.optimize import minimize
    from scipy.special import expit

    features = np.array([views.features() for views in (*clean, *attacked)])
    scale = features.std(0) + 1e-9
    rows = np.column_stack([features / scale, np.ones(len(features))])
    side = np.repeat([-1.0, 1.0], [len(clean), len(attacked)])
    share = np.where(side > 0, 0.5 / len(attacked), 0.5 / len(clean))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = side * (rows @ weights)
        pull = -share * side * expit(-margin)
        # A little ridge, so that sides that can be told apart wholly give finite weights.
        return float(
            share @ np.logaddexp(0, -margin) + 1e-4 * weights @ weights
        ), rows.T @ pull + 2e-4 * weights

    found = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x
    return (*map(float, found[:-1] / scale), float(found[-1]))


def threshold_at(suspicions: Sequence[float], false_alarms: float) -> float:
    """The smallest threshold that at most a share of `false_alarms` of clean suspicions passes.

    Raises ValueError for a share outside [0, 1).
    """
    if not 0 <= false_alarms < 1:
        raise ValueError(f"false_alarms={false_alarms} should be at least 0 and below 1.")
    ordered = np.sort(np.asarray(suspicions, np.float64))
    allowed = int(np.floor(false_alarms * len(ordered)))
    return float(ordered[len(ordered) - allowed - 1])


def _levels(image: Picture) -> NDArray[np.uint8]:
    return np.rint(to_float(image) * 255).clip(0, 255).astype(np.uint8)


def _through_jpeg(image: Picture) -> Picture:
    return through_codec(_levels(image), "JPEG", quality=50)


def _moved(image: Picture, by: tuple[int, int]) -> Picture:
    """The size is kept: what is missing is mirrored."""
    up, left = by
    return np.pad(image[up:, left:], ((0, up), (0, left), (0, 0)), mode="reflect")


def _blurred(image: Picture) -> Picture:
    return np.array(Image.fromarray(_levels(image)).filter(_BLUR))
