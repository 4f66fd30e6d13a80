"""Scores of a picture under noise: the draws that a certificate is made of."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from birqa.certify.noise import Noise
from birqa.certify.smoothing import Interval

Score = Callable[[NDArray[np.float32]], NDArray[np.generic]]
"""Noisy pictures (B, 3, H, W), white = 1 and not clamped -> scores (B,), each of its picture alone."""
Progress = Callable[[int, int], None]
"""Called with the number of draws that are done and that of all of them."""

MEMORY = 2**30
BYTES_PER_PIXEL = 1024
"""What a pixel of a noisy picture takes on its way through a network that nobody has measured, roughly."""
# Four times as many are a tenth slower on a CPU, and take three times the memory.
PIXELS_AT_ONCE = 2**20
LAST_DIGITS = 1e-5
"""By how much scores of the same picture may differ, as a share of the largest."""
OF_DEVIATION = 0.02
"""The same, as a share of the standard deviation of scores."""
# A score this far outside its range comes from rounding and is taken as the end of the range.
OVERSHOOT = 1e-4


def score_draws(
    score: Score,
    picture: NDArray[np.generic],
    noise: Noise,
    draws: Sequence[int],
    limits: Interval = (0.0, 1.0),
    *,
    memory: int = MEMORY,
    bytes_per_pixel: int = BYTES_PER_PIXEL,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Scores (len(draws),) of the draws of those numbers, in their order; `picture` (H, W, 3).

    As many pictures are scored at once as `memory` bytes hold, up to a million pixels. Raises ValueError for
    a picture that does not suit the noise or the memory, for a score that is not finite or outside `limits`,
    and for one that depends on the other pictures that are scored with it.
    """
    noise.check(picture)
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1))
    together = _check_memory(picture.shape[1], picture.shape[0], bytes_per_pixel, memory)
    batches = [draws[first : first + together] for first in range(0, len(draws), together)]

    def draw(batch: Sequence[int]) -> NDArray[np.float32]:
        noisy = np.empty((len(batch), *planes.shape), np.float32)
        for place, index in enumerate(batch):
            noisy[place] = noise.draw(index, planes)
        return noisy

    scores: list[NDArray[np.float32]] = []
    done = 0
    # The next batch is drawn while this one is scored; NumPy draws without holding the interpreter.
    with ThreadPoolExecutor(1) as drawer:
        waiting = drawer.submit(draw, batches[0]) if batches else None
        for number, batch in enumerate(batches):
            assert waiting is not None
            noisy = waiting.result()
            if number + 1 < len(batches):
                waiting = drawer.submit(draw, batches[number + 1])
            scores.append(_checked(score(noisy), batch, limits))
            if not number and len(batch) > 1:
                _check_alone(_checked(score(noisy[:1]), batch[:1], limits)[0], scores[0])
            done += len(batch)
            if progress:
                progress(done, len(draws))
    return np.concatenate(scores) if scores else np.empty(0, np.float32)


def _check_memory(width: int, height: int, bytes_per_pixel: int, memory: int) -> int:
    """How many pictures of that size may be scored at once; raises ValueError for none."""
    one = width * height * bytes_per_pixel
    if one > memory:
        raise ValueError(
            f"a noisy picture of {width} x {height} pixels takes about {-(-one // 2**20):,} MiB while it is "
            f"scored, but {memory // 2**20:,} MiB are allowed (--max-memory): allow more, or reduce the "
            "picture (--shorter-side)."
        )
    return max(1, min(memory // one, PIXELS_AT_ONCE // (width * height)))


def rounding(scores: NDArray[np.float32], of_deviation: float = OF_DEVIATION) -> float:
    """By how much the score of one picture may differ between two times it is made; `scores` are its like."""
    return max(LAST_DIGITS * float(np.abs(scores).max()), of_deviation * float(scores.std()))


def _check_alone(alone: np.float32, together: NDArray[np.float32]) -> None:
    """The theorem is about a function of one picture."""
    if abs(float(alone) - float(together[0])) > rounding(together):
        raise ValueError(
            f"a noisy picture scores {alone:g} by itself and {together[0]:g} among others: the metric should "
            "score each picture of a batch as if it were alone."
        )


def _checked(scores: NDArray[np.generic], batch: Sequence[int], limits: Interval) -> NDArray[np.float32]:
    values = np.asarray(scores).astype(np.float32)
    if values.shape != (len(batch),):
        raise ValueError(f"the metric gave scores of shape {values.shape} for {len(batch)} noisy pictures.")
    low, high = limits
    # Written so that NaN fails.
    wrong = np.flatnonzero(
        ~(np.isfinite(values) & (values >= low - OVERSHOOT) & (values <= high + OVERSHOOT))
    )
    if len(wrong):
        first = int(wrong[0])
        raise ValueError(
            f"draw {batch[first]} scores {values[first]:g}, which is no number in the metric's range "
            f"{low:g}..{high:g}: without a range that holds there is no certificate."
        )
    return np.clip(values, np.float32(low), np.float32(high))
