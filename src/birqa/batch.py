"""Many pairs of files through one metric: decoding in parallel, errors reported, the rest goes on."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from birqa.images import ResizeMode, load_image, match_sizes
from birqa.metric import FullReferenceMetric
from birqa.pairing import Pair

DECODERS = 4


@dataclass(frozen=True)
class ScoredPair:
    """`score` is None where the pair could not be scored; `error` then says why, in one sentence."""

    pair: Pair
    score: float | None
    error: str | None = None


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
    pairs = iter(pairs)
    load = partial(load_pair, resize=resize, background=background)
    decoders = ThreadPoolExecutor(DECODERS)
    try:
        waiting = deque((pair, decoders.submit(load, pair)) for pair in islice(pairs, DECODERS))
        while waiting:
            pair, loaded = waiting.popleft()
            try:
                score = float(metric(*loaded.result())[0])
            except (ValueError, OSError, MemoryError, RuntimeError) as error:
                yield ScoredPair(pair, None, str(error) or type(error).__name__)
            else:
                yield ScoredPair(pair, score)
            del loaded
            waiting.extend((pair, decoders.submit(load, pair)) for pair in islice(pairs, 1))
    finally:
        decoders.shutdown(cancel_futures=True)
