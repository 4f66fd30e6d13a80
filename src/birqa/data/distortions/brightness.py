"""Brightness: brighten, darken and mean shift."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from birqa.data.distortions._pixels import Image, clip, from_lab, to_lab


def brighten(image: Image, amount: float) -> Image:
    """Lift the middle of the tone curve, which runs through (0, 0), (.5, .5 + amount / 2) and (1, 1).

    The result is (2 curve(RGB) + curve(Lab lightness)) / 3.
    KADID-10k (Lin et al. 2019): amount .1, .2, .4, .7, 1.1.
    """
    return _bend(image, amount)


def darken(image: Image, amount: float) -> Image:
    """Lower the middle of the tone curve: `brighten` with (.5, .5 - amount / 2).

    KADID-10k (Lin et al. 2019): amount .05, .1, .2, .4, .8.
    """
    return _bend(image, -amount)


def mean_shift(image: Image, amount: float) -> Image:
    """Add `amount` to every sample.

    KADID-10k (Lin et al. 2019): .15, .08, 0, -.08, -.15, so level 3 changes nothing.
    TID2013 (Ponomarenko et al. 2013), type 16: -6, 10, -20, 30, -40 over 255.
    """
    return clip(image + np.float32(amount))


def tone_curve(image: NDArray[Any], inputs: ArrayLike, outputs: ArrayLike) -> Image:
    """Apply the not-a-knot cubic spline through the points; three points give a parabola."""
    return clip(CubicSpline(inputs, outputs)(image))


def _bend(image: Image, amount: float) -> Image:
    inputs, outputs = (0.0, 0.5, 1.0), (0.0, 0.5 + amount / 2.0, 1.0)
    lab = to_lab(image)
    lab[..., 0] = 100.0 * tone_curve(lab[..., 0] / 100.0, inputs, outputs)
    by_lightness = from_lab(lab)
    return clip((2.0 * tone_curve(image, inputs, outputs) + by_lightness) / 3.0)
