"""Lossy codecs: JPEG and JPEG 2000."""

from io import BytesIO

import numpy as np
from PIL import Image as PillowImage

from birqa.data.distortions._pixels import Image, from_uint8, to_uint8

_CHROMA_420 = 2


def jpeg(image: Image, quality: float) -> Image:
    """JPEG at `quality` (1..100, libjpeg's scale) with 4:2:0 chroma.

    KADID-10k (Lin et al. 2019): quality 43, 36, 24, 7, 4. TID2013 (Ponomarenko et al. 2013), type 10: 80, 60,
    23, 8, 4.
    """
    return _through_codec(image, "JPEG", quality=round(quality), subsampling=_CHROMA_420)


def jpeg2000(image: Image, ratio: float) -> Image:
    """JPEG 2000, irreversible wavelet, compressed `ratio` times.

    KADID-10k (Lin et al. 2019): ratio 16, 32, 45, 120, 400.
    """
    return _through_codec(image, "JPEG2000", quality_mode="rates", quality_layers=[ratio], irreversible=True)


def _through_codec(image: Image, codec: str, **options: object) -> Image:
    buffer = BytesIO()
    PillowImage.fromarray(to_uint8(image)).save(buffer, format=codec, **options)
    buffer.seek(0)
    with PillowImage.open(buffer) as decoded:
        return from_uint8(np.asarray(decoded.convert("RGB")))
