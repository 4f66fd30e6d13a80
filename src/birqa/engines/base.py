"""What every engine answers."""

from typing import NamedTuple, Protocol

import numpy as np

from birqa.grid import Grid


class NotScoredError(RuntimeError):
    """The engine gave up on a picture, likely for want of memory; the message is one sentence."""


class Parts(NamedTuple):
    """The parts of one pair's score, as float32 arrays. L levels from fine to coarse."""

    score: float
    level_score: np.ndarray
    """(L,), in [0, 1]."""
    reliability: np.ndarray
    """(L,), sums to 1; score = sum of reliability * level_score."""
    strength: list[np.ndarray]
    """CSRAM strength maps (h_l, w_l) >= 0 of levels 1..L-1."""
    confidence: list[np.ndarray]
    """CSRAM confidence maps (h_l, w_l) in (0, 1)."""
    quality: np.ndarray
    """(h_0, w_0), in [0, 1]: local quality, finest level."""
    grid: Grid
    """Of the cells that were averaged, and with that where `quality` begins."""


class Engine(Protocol):
    """Scores one pair of equally sized pictures: uint8, or float32 in [0, 1], (H, W, 3)."""

    def score(self, dist: np.ndarray, ref: np.ndarray) -> float: ...

    def explain(self, dist: np.ndarray, ref: np.ndarray) -> Parts: ...
