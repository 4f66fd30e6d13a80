"""Fine steps of damage whose order is known without anybody's rating."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from birqa.codecs import through_codec

Picture = NDArray[np.uint8]
"""(H, W, 3)."""

CODECS = "JPEG", "WEBP"
"""Others, as AVIF, stay unseen, so that they can tell whether it is codecs that were learned."""
QUALITIES = 60, 98
LEAST_STEP, LARGEST_STEP = 2, 12
DARKEST = 8
"""Noise is laid on pictures at this part of their brightness and more."""
NOISE = 1.0, 12.0
"""Standard deviations, grey levels."""
SCALES = 1.1, 4.0
RATIO = 1.15, 1.8
"""Of the worse noise or scale to the better one."""


def known_step(
    ref: NDArray[np.float32], rng: np.random.Generator, kinds: Sequence[str]
) -> NDArray[np.float32]:
    """A reference made of the picture (3, H, W) in [0, 1], and it damaged in one way, less and more.

    The way is drawn evenly from `kinds`, names of `KINDS`. Gives (3, 3, H, W) of 8-bit pictures in [0, 1].
    """
    picture = np.rint(ref.transpose(1, 2, 0) * 255).astype(np.uint8)
    steps = KINDS[kinds[int(rng.integers(len(kinds)))]](picture, rng)
    return np.divide(np.stack(steps).transpose(0, 3, 1, 2), 255, dtype=np.float32)


def _codec(picture: Picture, rng: np.random.Generator) -> list[Picture]:
    codec = CODECS[rng.integers(len(CODECS))]
    step = int(rng.integers(LEAST_STEP, LARGEST_STEP + 1))
    better = int(rng.integers(QUALITIES[0] + step, QUALITIES[1] + 1))
    stored = (through_codec(picture, codec, quality=quality) for quality in (better, better - step))
    return [picture, *stored]


def _noise(picture: Picture, rng: np.random.Generator) -> list[Picture]:
    dark = np.rint(picture / np.exp(rng.uniform(0, np.log(DARKEST)))).astype(np.uint8)
    return [dark, *(_noisy(dark, deviation, rng) for deviation in _two(NOISE, rng))]


def _scale(picture: Picture, rng: np.random.Generator) -> list[Picture]:
    return [picture, *(_scaled(picture, factor) for factor in _two(SCALES, rng))]


KINDS: dict[str, Callable[[Picture, np.random.Generator], list[Picture]]] = {
    "codec": _codec,
    "noise": _noise,
    "scale": _scale,
}
"""What makes the reference, the better picture and the worse one."""


def _two(span: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
    ratio = rng.uniform(*RATIO)
    low = float(np.exp(rng.uniform(np.log(span[0]), np.log(span[1] / ratio))))
    return low, low * ratio


def _noisy(picture: Picture, deviation: float, rng: np.random.Generator) -> Picture:
    noise = deviation * rng.standard_normal(picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def _scaled(picture: Picture, factor: float) -> Picture:
    whole = Image.fromarray(picture)
    small = whole.resize([round(side / factor) for side in whole.size], Image.Resampling.BOX)
    return np.asarray(small.resize(whole.size, Image.Resampling.BICUBIC))
