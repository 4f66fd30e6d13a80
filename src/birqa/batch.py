"""Many files through one metric: decoding in parallel, errors reported, the rest goes on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from birqa.images import ResizeMode, load_image, match_sizes, reduce_to
from birqa.metric import FullReferenceMetric, NoReferenceMetric
from birqa.pairing import Pair

DECODERS = 4
NOT_SCORED = (ValueError, OSError, MemoryError, RuntimeError)
"""What a picture raises that cannot be read or scored: it is told, and the rest goes on."""
Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ScoredPair:
    """`score` is None where the pair could not be scored; `error` then says why, in one sentence."""

    pair: Pair
    score: float | None
    error: str | None = None
    bytes: int | None = None
    """Of the distorted file; None where it was not scored."""
    bits_per_pixel: float | None = None
    """Of the distorted file, at the size in which both were compared."""


def load_pair(
    pair: Pair, resize: ResizeMode = "none", background: tuple[float, float, float] = (0.5, 0.5, 0.5)
) -> tuple[np.ndarray, np.ndarray]:
    """(dist, ref) as arrays of one size. Raises ValueError in one sentence."""
    dist, ref = (load_image(path, background=background) for path in (pair.dist, pair.ref))
    return match_sizes(dist, ref, resize)


def score_pairs(
    metric: FullReferenceMetric,
    pairs: Iterable[Pair],
    resize: ResizeMode = "none",
    background: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Iterator[ScoredPair]:
    """Results in the order of `pairs`; a bad file becomes an error in its place."""

    def load(pair: Pair) -> tuple[np.ndarray, np.ndarray, int]:
        return *load_pair(pair, resize, background), pair.dist.stat().st_size

    def score(loaded: tuple[np.ndarray, np.ndarray, int]) -> tuple[float, int, float]:
        dist, ref, size = loaded
        height, width = dist.shape[:2]
        return float(metric(dist, ref)[0]), size, 8 * size / (height * width)

    for pair, scored, error in _score_each(pairs, load, score):
        value, size, rate = scored or (None, None, None)
        yield ScoredPair(pair, value, error, size, rate)


@dataclass(frozen=True)
class ScoredPicture:
    """`score` is None where the picture could not be scored; `error` then says why, in one sentence."""

    picture: Path
    score: float | None
    error: str | None = None


def score_pictures(
    metric: NoReferenceMetric,
    pictures: Iterable[Path],
    shorter_side: int | None = None,
    background: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Iterator[ScoredPicture]:
    """Results in the order of `pictures`; a bad file becomes an error in its place.

    With `shorter_side`, pictures whose shorter side is larger are reduced to it first.
    """

    def load(path: Path) -> np.ndarray:
        return reduce_to(load_image(path, background=background), shorter_side)

    for path, score, error in _score_each(pictures, load, lambda picture: float(metric(picture)[0])):
        yield ScoredPicture(path, score, error)


def _score_each(
    items: Iterable[Item], load: Callable[[Item], Loaded], score: Callable[[Loaded], Result]
) -> Iterator[tuple[Item, Result | None, str | None]]:
    items = iter(items)
    decoders = ThreadPoolExecutor(DECODERS)
    try:
        waiting = deque((item, decoders.submit(load, item)) for item in islice(items, DECODERS))
        while waiting:
            item, loaded = waiting.popleft()
            try:
                value = score(loaded.result())
            except NOT_SCORED as error:
                yield item, None, str(error) or type(error).__name__
            else:
                yield item, value, None
            del loaded
            waiting.extend((item, decoders.submit(load, item)) for item in islice(items, 1))
    finally:
        decoders.shutdown(cancel_futures=True)
