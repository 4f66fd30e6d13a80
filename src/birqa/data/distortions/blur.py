"""Blurs: Gaussian, lens (disk) and motion."""

from functools import lru_cache
from math import ceil, cos, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from birqa.data.distortions._pixels import Image, clip


def gaussian_blur(image: Image, sigma: float) -> Image:
    """Gaussian blur of standard deviation `sigma` pixels, kernel of 2 ceil(2 sigma) + 1, edges replicated.

    KADID-10k (Lin et al. 2019): sigma .1, .5, 1, 2, 5.
    """
    size = 2 * ceil(2 * sigma) + 1
    return clip(cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REPLICATE))


def gaussian_blur_11(image: Image, sigma: float) -> Image:
    """Gaussian blur with an 11 x 11 kernel and black outside the picture.

    TID2013 (Ponomarenko et al. 2013), type 8: sigma .5, .65, 1, 1.7, 4. The kernel size and the dark frame
    that zero padding leaves were found from the authors' per-image metric values.
    """
    return clip(cv2.GaussianBlur(image, (11, 11), sigma, borderType=cv2.BORDER_CONSTANT))


def lens_blur(image: Image, radius: float) -> Image:
    """Mean over a disk of `radius` pixels, edges replicated.

    KADID-10k (Lin et al. 2019): radius 1, 2, 4, 6, 8.
    """
    return clip(cv2.filter2D(image, -1, disk_kernel(radius), borderType=cv2.BORDER_REPLICATE))


def motion_blur(image: Image, length: float, rng: np.random.Generator) -> Image:
    """Mean along a line of `length` pixels at a random whole angle of 0..180 degrees, edges replicated.

    KADID-10k (Lin et al. 2019): length 1, 2, 4, 6, 10; length 1 changes nothing.
    """
    kernel = motion_kernel(length, float(rng.integers(0, 181)))
    return clip(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE))


@lru_cache(maxsize=16)
def disk_kernel(radius: float) -> NDArray[np.float32]:
    """Share of every pixel that the disk covers, with sum one."""
    reach = ceil(radius - 0.5)
    samples = 64
    offsets = (np.arange((2 * reach + 1) * samples) + 0.5) / samples - reach - 0.5
    inside = offsets[:, None] ** 2 + offsets[None, :] ** 2 <= radius**2
    coverage = inside.reshape(2 * reach + 1, samples, 2 * reach + 1, samples).mean((1, 3))
    return (coverage / coverage.sum()).astype(np.float32)


def motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """Line of `length` pixels at `angle` degrees, smoothed over one pixel either side, with sum one.

    A pixel weighs max(0, 1 - d), d its distance to the line segment; this is MATLAB's `fspecial('motion')`.
    """
    half = (max(1.0, length) - 1.0) / 2.0
    phi = (angle % 180.0) / 180.0 * pi
    reach = ceil(half)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along = np.abs(x * cos(phi) - y * sin(phi))
    across = np.abs(x * sin(phi) + y * cos(phi))
    beyond = np.hypot(x, y) >= half
    distance = np.where(beyond, np.hypot(across, half - along), across)
    weight = np.maximum(0.0, 1.0 - distance)
    return (weight / weight.sum()).astype(np.float32)
