"""Pictures as a lossy codec hands them back."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def through_codec(picture: NDArray[np.uint8], codec: str, **options: Any) -> NDArray[np.uint8]:
    """(H, W, 3), stored in memory as Pillow's format `codec` with its `options`, and read again."""
    stored = BytesIO()
    Image.fromarray(picture).save(stored, codec, **options)
    with Image.open(stored) as decoded:
        return np.array(decoded.convert("RGB"))
