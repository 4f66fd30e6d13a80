"""Sharpness and contrast."""

import cv2
import numpy as np

from birqa.data.distortions._pixels import Image, clip, from_lab, to_lab
from birqa.data.distortions.brightness import tone_curve


def high_sharpen(image: Image, amount: float) -> Image:
    """Unsharp mask on Lab lightness: L + amount (L - blurred L), Gaussian of sigma 3, kernel 13.

    MATLAB's `imsharpen` with radius 3, edges replicated. KADID-10k (Lin et al. 2019): amount 1, 2, 3, 6, 12.
    """
    lab = to_lab(image)
    lightness = lab[..., 0]
    blurred = cv2.GaussianBlur(lightness, (13, 13), 3.0, borderType=cv2.BORDER_REPLICATE)
    lab[..., 0] = np.clip(lightness + amount * (lightness - blurred), 0.0, 100.0)
    return from_lab(lab)


def contrast_curve(image: Image, amount: float) -> Image:
    """Tone curve through (0, 0), (.3, .25 - amount / 4), (.5, .5), (.7, .75 + amount / 4) and (1, 1).

    KADID-10k (Lin et al. 2019): amount .3, .15, 0, -.4, -.6. Amount 0 still raises contrast a little; the
    identity is at -.2.
    """
    outputs = (0.0, 0.25 - amount / 4.0, 0.5, 0.75 + amount / 4.0, 1.0)
    return tone_curve(image, (0.0, 0.3, 0.5, 0.7, 1.0), outputs)


def contrast_about_mean(image: Image, factor: float) -> Image:
    """mean + factor (x - mean), the mean taken over all samples of the picture.

    TID2013 (Ponomarenko et al. 2013), type 17: factor .9, 1.2, .75, 1.45, .5.
    """
    mean = image.mean(dtype=np.float64)
    return clip(np.float32(mean) + np.float32(factor) * (image - np.float32(mean)))
