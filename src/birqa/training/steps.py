"""Fine steps of codecs, whose order is known without anybody's rating."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CODECS = "JPEG", "WEBP"
"""Others, as AVIF, stay unseen, so that they can tell whether it is codecs that were learned."""
QUALITIES = 60, 98
LEAST_STEP, LARGEST_STEP = 2, 12


def codec_step(ref: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A picture (3, H, W) in [0, 1] stored by a codec drawn by chance, at one quality and at a lower one;
    (2, 3, H, W)."""
    codec = CODECS[rng.integers(len(CODECS))]
    step = int(rng.integers(LEAST_STEP, LARGEST_STEP + 1))
    better = int(rng.integers(QUALITIES[0] + step, QUALITIES[1] + 1))
    picture = Image.fromarray(np.rint(ref.transpose(1, 2, 0) * 255).astype(np.uint8))
    stored = [_through(picture, codec, quality) for quality in (better, better - step)]
    return np.divide(np.stack(stored).transpose(0, 3, 1, 2), 255, dtype=np.float32)


def _through(picture: Image.Image, codec: str, quality: int) -> NDArray[np.uint8]:
    buffer = BytesIO()
    picture.save(buffer, codec, quality=quality)
    with Image.open(buffer) as decoded:
        return np.asarray(decoded.convert("RGB"))
