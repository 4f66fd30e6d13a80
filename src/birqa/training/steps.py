"""Fine steps of damage whose order is known without anybody's rating."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

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
BLUR = 0.5, 2.0
"""Standard deviations, pixels."""
NOISE_ON_BLUR = 4.0, 30.0
RATIO = 1.15, 1.8
"""Of the worse noise or scale to the better one."""
SCALES = sorted({Fraction(p, q) for p in range(2, 10) for q in range(1, p) if 9 * q <= 8 * p <= 32 * q})
"""Of few pixels each, from 9/8 to 4, since people scale by such factors and their grids leave marks."""
KERNELS = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS


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
    return [picture, *(_through(picture, codec, quality) for quality in (better, better - step))]


def _noise(picture: Picture, rng: np.random.Generator) -> list[Picture]:
    dark = np.rint(picture / np.exp(rng.uniform(0, np.log(DARKEST)))).astype(np.uint8)
    return [dark, *(_noisy(dark, deviation, rng) for deviation in _two(NOISE, rng))]


def _noise_on_blur(picture: Picture, rng: np.random.Generator) -> list[Picture]:
    blur = ImageFilter.GaussianBlur(rng.uniform(*BLUR))
    blurred = np.asarray(Image.fromarray(picture).filter(blur))
    return [picture, *(_noisy(blurred, deviation, rng) for deviation in _two(NOISE_ON_BLUR, rng))]


def _scale(picture: Picture, rng: np.random.Generator) -> list[Picture]:
    least, most = RATIO
    slight = [factor for factor in SCALES if factor * least <= SCALES[-1]]
    better = slight[int(rng.integers(len(slight)))]
    larger = [factor for factor in SCALES if least <= factor / better <= most]
    worse = larger[int(rng.integers(len(larger)))]
    kernel = KERNELS[int(rng.integers(len(KERNELS)))]
    return [picture, *(_scaled(picture, factor, kernel) for factor in (better, worse))]


KINDS: dict[str, Callable[[Picture, np.random.Generator], list[Picture]]] = {
    "codec": _codec,
    "noise": _noise,
    "noise on blur": _noise_on_blur,
    "scale": _scale,
}
"""What makes the reference, the better picture and the worse one."""


def _two(span: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
    ratio = rng.uniform(*RATIO)
    low = float(np.exp(rng.uniform(np.log(span[0]), np.log(span[1] / ratio))))
    return low, low * ratio


def _through(picture: Picture, codec: str, quality: int) -> Picture:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, codec, quality=quality)
    with Image.open(buffer) as decoded:
        return np.asarray(decoded.convert("RGB"))


def _noisy(picture: Picture, deviation: float, rng: np.random.Generator) -> Picture:
    noise = deviation * rng.standard_normal(picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def _scaled(picture: Picture, factor: Fraction, kernel: Image.Resampling) -> Picture:
    """Made smaller and large again, on one grid throughout."""
    height, width = picture.shape[:2]
    beyond = (-height % factor.numerator, -width % factor.numerator)
    whole = Image.fromarray(np.pad(picture, [(0, beyond[0]), (0, beyond[1]), (0, 0)], mode="edge"))
    small = whole.resize([int(side / factor) for side in whole.size], Image.Resampling.BOX)
    return np.asarray(small.resize(whole.size, kernel))[:height, :width]
