"""Fine steps of codecs, whose order is known without anybody's rating."""

import numpy as np
from numpy.typing import NDArray

from birqa.data.distortions.compression import through_codec

CODECS = "JPEG", "WEBP"
"""Others, as AVIF, stay unseen, so that they can tell whether it is codecs that were learned."""
QUALITIES = 60, 98
LEAST_STEP, LARGEST_STEP = 2, 12


def codec_step(
    ref: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A picture (3, H, W) in [0, 1] stored by a codec drawn by chance, at one quality and at a lower one."""
    codec = CODECS[rng.integers(len(CODECS))]
    step = int(rng.integers(LEAST_STEP, LARGEST_STEP + 1))
    better = int(rng.integers(QUALITIES[0] + step, QUALITIES[1] + 1))
    picture = ref.transpose(1, 2, 0)
    stored = (through_codec(picture, codec, quality=quality) for quality in (better, better - step))
    first, second = (picture.transpose(2, 0, 1) for picture in stored)
    return first, second
