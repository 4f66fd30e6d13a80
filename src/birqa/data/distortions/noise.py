"""Noise of every kind, and noise that a denoiser has smoothed.

Variances are in squared units of the [0, 1] range unless said otherwise.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from birqa.data.distortions._pixels import Image, clip, reach_psnr
from birqa.data.distortions.transform import (
    RGB_TO_YCBCR,
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

# Columns: what one unit of Y, Cb and Cr adds to R, G and B (BT.601, studio range as in MATLAB's rgb2ycbcr).
_STUDIO_YCBCR_TO_RGB = np.array(
    [[1.16438, 0.0, 1.59603], [1.16438, -0.39176, -0.81297], [1.16438, 2.01723, 0.0]], np.float32
)
_FULL_YCBCR_TO_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]], np.float32)


def white_noise(image: Image, variance: float, rng: np.random.Generator) -> Image:
    """Add N(0, variance) to every sample of RGB.

    KADID-10k (Lin et al. 2019): .001, .002, .003, .005, .01.
    TID2013 (Ponomarenko et al. 2013), type 1: 32, 64, 130, 260, 522 over 255^2, before clipping.
    """
    return clip(image + _normal(image, rng) * np.float32(np.sqrt(variance)))


def ycbcr_noise(image: Image, variance: float, rng: np.random.Generator) -> Image:
    """Add N(0, variance) to Y, Cb and Cr (BT.601 studio range over 255) and return to RGB.

    KADID-10k (Lin et al. 2019), noise in colour components: .0001, .0005, .001, .002, .003.
    """
    noise = _normal(image, rng) * np.float32(np.sqrt(variance))
    return clip(image + noise @ _STUDIO_YCBCR_TO_RGB.T)


def impulse_noise(image: Image, density: float, rng: np.random.Generator) -> Image:
    """Set a share `density` of the samples, half of them to 0 and half to 1, each channel on its own.

    KADID-10k (Lin et al. 2019): .001, .005, .01, .02, .03.
    """
    draw = rng.random(image.shape, dtype=np.float32)
    pepper, salt = draw < density / 2, (draw >= density / 2) & (draw < density)
    return np.where(salt, np.float32(1.0), np.where(pepper, np.float32(0.0), image))


def multiplicative_noise(image: Image, variance: float, rng: np.random.Generator) -> Image:
    """x + x n with n ~ N(0, variance).

    KADID-10k (Lin et al. 2019): .001, .005, .01, .02, .05. A Gaussian n is our default.
    """
    return clip(image + image * _normal(image, rng) * np.float32(np.sqrt(variance)))


def denoised(image: Image, variance: float, rng: np.random.Generator) -> Image:
    """White noise of `variance`, clipped, then a denoiser that knows it: what is left is blur and blotches.

    KADID-10k (Lin et al. 2019): .01, .03, .05, .1, .15. There the denoiser was the network DnCNN;
    our default is shifted-DCT hard thresholding.
    """
    return dct_denoise(white_noise(image, variance, rng), float(np.sqrt(variance)))


def dct_denoise(image: Image, sigma: float) -> Image:
    """Mean over eight shifts of an 8 x 8 DCT whose coefficients below 2.7 sigma are set to zero.

    Each channel on its own; the block mean is kept.
    """
    height, width = image.shape[:2]
    down, right = 8 + -height % 8, 8 + -width % 8
    padded = np.pad(image, ((8, down), (8, right), (0, 0)), mode="symmetric")
    total = np.zeros_like(image)
    shifts = [(0, 0), (4, 4), (2, 6), (6, 2), (1, 3), (5, 7), (3, 1), (7, 5)]
    for top, left in shifts:
        rows = (padded.shape[0] - top) // 8 * 8
        columns = (padded.shape[1] - left) // 8 * 8
        part = padded[top : top + rows, left : left + columns]
        blocks = part.reshape(rows // 8, 8, columns // 8, 8, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 64)
        coefficients = blocks @ _DCT_8X8.T
        small = np.abs(coefficients) < 2.7 * sigma
        small[:, 0] = False
        coefficients[small] = 0.0
        smooth = (coefficients @ _DCT_8X8).reshape(rows // 8, columns // 8, 3, 8, 8)
        smooth = smooth.transpose(0, 3, 1, 4, 2).reshape(rows, columns, 3)
        total += smooth[8 - top : 8 - top + height, 8 - left : 8 - left + width]
    return clip(total / len(shifts))


def colour_weighted_noise(image: Image, level: float, rng: np.random.Generator) -> Image:
    """Noise that is stronger in chroma than in luma.

    In squared 0..255 units the luma variance is 16 2^level / 8.7, the mean variance over R, G and B is
    31.2 2^(level - 1), and Cb and Cr share the rest. TID2013 (Ponomarenko et al. 2013), type 2: level 1..5.
    """
    luma = 16.0 * 2.0**level / 8.7
    total = 31.2 * 2.0 ** (level - 1.0)
    gain = float(np.mean(np.sum(_FULL_YCBCR_TO_RGB[:, 1:] ** 2, axis=1)))
    chroma = (total - luma) / gain
    deviation = np.sqrt(np.array([luma, chroma, chroma], np.float32)) / np.float32(255.0)
    return clip(image + (_normal(image, rng) * deviation) @ _FULL_YCBCR_TO_RGB.T)


def correlated_noise(image: Image, variance: float, rng: np.random.Generator) -> Image:
    """White noise through a 3 x 3 mean, brought back to `variance`, added to RGB.

    TID2013 (Ponomarenko et al. 2013), type 3: 32, 64, 130, 260, 522 over 255^2.
    """
    # The mean of nine independent samples has a ninth of their variance.
    noise = 3.0 * cv2.blur(_normal(image, rng), (3, 3), borderType=cv2.BORDER_REFLECT_101)
    return clip(image + noise * np.float32(np.sqrt(variance)))


def masked_noise(image: Image, target: float, rng: np.random.Generator) -> Image:
    """Noise that hides in texture, scaled until the PSNR is `target` dB.

    In every 8 x 8 block of every channel, DCT noise without a mean whose amplitude grows with the squared
    frequency and with the root of the block's masking energy: the energy of its detail, less where that comes
    from one edge (the variance within the four quarters over that of the block). TID2013 (Ponomarenko et al.
    2013), type 4: 33, 30, 27, 24, 21 dB. The spectrum was fitted to the authors' per-image metric values.
    """
    blocks = to_blocks(image, 8)
    detail = np.square(forward_dct(blocks))
    detail[..., 0, 0] = 0.0
    quarters = sum(blocks[..., y : y + 4, x : x + 4].var((-2, -1)) for y in (0, 4) for x in (0, 4))
    masking = detail.sum((-2, -1)) * quarters / (4.0 * blocks.var((-2, -1)) + 1e-9)
    spectrum = np.square(frequencies(8))
    noise = rng.standard_normal(blocks.shape, dtype=np.float32) * spectrum * np.sqrt(masking)[..., None, None]
    pixels = from_blocks(inverse_dct(noise), *image.shape[:2])
    return reach_psnr_log(image, lambda gain: clip(image + np.float32(gain) * pixels), target, 1e-4, 1e4)


def uniform_impulses(image: Image, density: float, rng: np.random.Generator) -> Image:
    """Set a share `density` of the samples to whole levels drawn evenly from 0..255, each channel on its own.

    TID2013 (Ponomarenko et al. 2013), type 6: .004, .0085, .017, .034, .068.
    """
    hit = rng.random(image.shape, dtype=np.float32) < density
    levels = rng.integers(0, 256, image.shape).astype(np.float32) / np.float32(255.0)
    return np.where(hit, levels, image)


def denoised_shifted(image: Image, deviation: float, rng: np.random.Generator) -> Image:
    """White noise of `deviation`, clipped, then hard thresholding of shifted DCTs in luma and chroma.

    TID2013 (Ponomarenko et al. 2013), type 9: 8, 12, 22, 42, 87 over 255, fitted together with the
    thresholds to the authors' per-image metric values.
    """
    noisy = to_ycbcr(clip(image + np.float32(deviation) * _normal(image, rng)))
    # What noise of deviation one in R, G and B deviates by in Y, Cb and Cr.
    spread = np.linalg.norm(RGB_TO_YCBCR, axis=1)
    shifts = [(y, x) for y in range(0, 8, 2) for x in range(0, 8, 2)]
    limits = np.array([2.9, 2.35, 2.35], np.float32) * np.float32(deviation) * spread
    return clip(from_ycbcr(ShiftedDCT(noisy, 8, shifts).threshold(limits)))


def high_frequency_noise(image: Image, target: float, rng: np.random.Generator) -> Image:
    """White noise less its 3 x 3 mean, scaled until the PSNR is `target` dB.

    TID2013 (Ponomarenko et al. 2013), type 5: 33, 30, 25, 20, 15 dB.
    """
    noise = _normal(image, rng)
    noise -= cv2.blur(noise, (3, 3), borderType=cv2.BORDER_REFLECT_101)
    return reach_psnr(image, lambda sigma: clip(image + np.float32(sigma) * noise), target, largest=2.0)


def multiplicative_noise_psnr(image: Image, target: float, rng: np.random.Generator) -> Image:
    """x (1 + sigma n), n ~ N(0, 1), sigma such that the PSNR is `target` dB.

    TID2013 (Ponomarenko et al. 2013), type 19: 33, 30, 27, 24, 21 dB.
    """
    product = image * _normal(image, rng)
    return reach_psnr(image, lambda sigma: clip(image + np.float32(sigma) * product), target, largest=4.0)


def _normal(image: Image, rng: np.random.Generator) -> Image:
    return rng.standard_normal(image.shape, dtype=np.float32)


def _dct_8x8() -> NDArray[np.float32]:
    basis = dct(np.eye(8), axis=0, norm="ortho")
    return np.kron(basis, basis).astype(np.float32)


_DCT_8X8 = _dct_8x8()
