"""Pixel helpers shared by the distortion families."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""Height x width x 3 RGB in [0, 1]."""


def clip(image: NDArray[Any]) -> Image:
    """Return the image limited to [0, 1] as float32."""
    return np.clip(image, 0.0, 1.0).astype(np.float32, copy=False)


def to_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Round [0, 1] to 0..255."""
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)


def from_uint8(image: NDArray[np.uint8]) -> Image:
    """Map 0..255 to [0, 1]."""
    return image.astype(np.float32) / np.float32(255.0)


def to_lab(image: Image) -> Image:
    """sRGB to CIE Lab (D65), L in 0..100; OpenCV's tables are within half a unit of the formula."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2Lab), np.float32)


def from_lab(lab: Image) -> Image:
    """CIE Lab (D65) to sRGB; colours outside the gamut are clipped."""
    return clip(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB))


def psnr(reference: NDArray[Any], distorted: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio over the three channels, in dB; infinite for equal images."""
    mse = float(np.mean(np.square(np.subtract(reference, distorted, dtype=np.float64))))
    return float("inf") if mse == 0.0 else -10.0 * float(np.log10(mse))


def reach_psnr(
    image: Image,
    distort: Callable[[float], Image],
    target: float,
    largest: float,
    *,
    smallest: float = 0.0,
    tolerance: float = 1e-3,
    attempts: int = 24,
) -> Image:
    """Distort with the strength in (smallest, largest] whose PSNR is nearest to `target` (bisection).

    `distort` has to lose PSNR as its strength grows. The PSNR is that of the clipped result, so clipping at
    the ends of the range is made up for.
    """
    low, high = smallest, largest
    best, best_error = image, float("inf")
    for _ in range(attempts):
        middle = 0.5 * (low + high)
        candidate = distort(middle)
        reached = psnr(image, candidate)
        if abs(reached - target) < best_error:
            best, best_error = candidate, abs(reached - target)
        if best_error < tolerance:
            break
        low, high = (middle, high) if reached > target else (low, middle)
    return best
