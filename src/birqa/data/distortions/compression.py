"""Lossy codecs: JPEG, JPEG 2000, and coders of DCT coefficients."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from birqa import codecs
from birqa.data.distortions._pixels import Image, clip, from_uint8, to_uint8
from birqa.data.distortions.transform import (
    ShiftedDCT,
    forward_dct,
    frequencies,
    from_blocks,
    from_ycbcr,
    inverse_dct,
    reach_psnr_log,
    to_blocks,
    to_ycbcr,
)

_CHROMA_420 = 2


def jpeg(image: Image, quality: float) -> Image:
    """JPEG at `quality` (1..100, libjpeg's scale) with 4:2:0 chroma.

    KADID-10k (Lin et al. 2019): quality 43, 36, 24, 7, 4. TID2013 (Ponomarenko et al. 2013), type 10: 80, 60,
    23, 8, 4.
    """
    return through_codec(image, "JPEG", quality=round(quality), subsampling=_CHROMA_420)


def jpeg2000(image: Image, ratio: float) -> Image:
    """JPEG 2000, irreversible wavelet, compressed `ratio` times.

    KADID-10k (Lin et al. 2019): ratio 16, 32, 45, 120, 400.
    """
    return through_codec(image, "JPEG2000", quality_mode="rates", quality_layers=[ratio], irreversible=True)


def jpeg2000_psnr(image: Image, target: float) -> Image:
    """JPEG 2000, coarser in fine detail and in colour, at the ratio whose PSNR is nearest to `target` dB.

    Pillow's coder has no visual weights, so the picture is weighted before and after it: frequency f by
    1 / (1 + 4 f^2), f = 1 being one change a pixel, and Cb and Cr also by .85. TID2013 (Ponomarenko et al.
    2013), type 11: 33, 30, 27, 24, 21 dB. The weights were fitted to the authors' per-image metric values.
    """
    height, width = image.shape[:2]
    squared = (np.arange(height)[:, None] / height) ** 2 + (np.arange(width) / width) ** 2
    weights = (np.array([1.0, 0.85, 0.85]) / (1.0 + 4.0 * squared[..., None])).astype(np.float32)
    middle = np.array([0.5, 0.0, 0.0], np.float32)

    def filtered(picture: Image, by: NDArray[np.float32]) -> Image:
        spectrum = dctn(to_ycbcr(picture) - middle, axes=(0, 1), norm="ortho") * by
        return clip(from_ycbcr(np.asarray(idctn(spectrum, axes=(0, 1), norm="ortho"), np.float32) + middle))

    weighted = filtered(image, weights)
    return reach_psnr_log(
        image, lambda ratio: filtered(jpeg2000(weighted, ratio), 1.0 / weights), target, 2.0, 2000.0, 0.1
    )


def comfort_noise(image: Image, target: float, rng: np.random.Generator) -> Image:
    """Coarse DCT coding that puts noise in the place of the detail it drops, at a PSNR of `target` dB.

    Y, Cb and Cr are quantised in blocks of 32 x 32, with a step that grows with the frequency and with the
    detail of the block; coefficients that become zero are drawn anew with the mean energy of those lost in
    the block. TID2013 (Ponomarenko et al. 2013), type 20: 33, 30, 27, 24, 21 dB. The steps were fitted to the
    authors' per-image metric values.
    """
    side = 32
    coefficients = forward_dct(to_blocks(to_ycbcr(image), side))
    growth = (1.0 + 8.0 / side * frequencies(side)) ** 0.6
    detail = np.square(coefficients[:, :, :1])
    detail[..., 0, 0] = 0.0
    detail = detail.sum((-2, -1), keepdims=True) / side**2 + 1e-5
    steps = growth * detail**0.3 * np.array([1.0, 0.7, 0.7], np.float32)[:, None, None]
    noise = rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), coefficients.shape).astype(np.float32) * growth

    def coded(gain: float) -> Image:
        units = np.rint(coefficients / (np.float32(gain) * steps))
        dropped = units == 0.0
        dropped[..., 0, 0] = False
        lost = np.sum(np.square(coefficients / growth), axis=(-2, -1), keepdims=True, where=dropped)
        level = np.sqrt(lost / np.maximum(dropped.sum((-2, -1), keepdims=True), 1))
        filled = np.where(dropped, noise * level, units * np.float32(gain) * steps).astype(np.float32)
        return clip(from_ycbcr(from_blocks(inverse_dct(filled), *image.shape[:2])))

    return reach_psnr_log(image, coded, target, 1e-3, 60.0)


def compressed_noisy(image: Image, target: float, rng: np.random.Generator) -> Image:
    """White noise, then DCT coding that is coarse enough to hide it, together at a PSNR of `target` dB.

    The step for noise of deviation sigma is 8 sigma in Cb and Cr and .4 of that in Y, in blocks of 8 x 8.
    TID2013 (Ponomarenko et al. 2013), type 21: 33, 30, 27, 24, 21 dB. The steps were fitted to the authors'
    per-image metric values.
    """
    side = 8
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    share = np.array([0.4, 1.0, 1.0], np.float32)[:, None, None]

    def coded(sigma: float) -> Image:
        noisy = clip(image + np.float32(sigma) * noise)
        step = np.float32(8.0 * sigma) * share
        units = np.rint(forward_dct(to_blocks(to_ycbcr(noisy), side)) / step)
        return clip(from_ycbcr(from_blocks(inverse_dct(units * step), *image.shape[:2])))

    return reach_psnr_log(image, coded, target, 1e-3, 1.0)


def sparse_sampling(image: Image, target: float) -> Image:
    """Keep the few strongest DCT coefficients, as many as give a PSNR of `target` dB.

    Y, Cb and Cr in blocks of 64 x 64 on two grids, chroma with 1.4 times the threshold. TID2013 (Ponomarenko
    et al. 2013), type 24: 33, 30, 27, 24, 21 dB. Block size and chroma were fitted to the authors' per-image
    metric values; there the picture was rebuilt from a sparse set of samples.
    """
    blocks = ShiftedDCT(to_ycbcr(image), 64, [(0, 0), (32, 32)])
    share = np.array([1.0, 1.4, 1.4], np.float32)
    return reach_psnr_log(
        image,
        lambda limit: clip(from_ycbcr(blocks.threshold(np.float32(limit) * share))),
        target,
        1e-3,
        20.0,
    )


def through_codec(image: Image, codec: str, **options: object) -> Image:
    return from_uint8(codecs.through_codec(to_uint8(image), codec, **options))
