"""Local information content.

Source: the information-content weight of Wang and Li, "Information content weighting for perceptual image
quality assessment", IEEE TIP 2011, in its older scalar form. The paper calls the map both "variance of pixel
intensities" and "gradient magnitude"; this form is our default.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from birqa.features.ssim import LocalStatistics

NOISE_VARIANCE = 0.4 / 255**2
# The largest variance of a [0, 1] signal is 1/4, which bounds the map; dividing by the bound gives [0, 1].
BOUND_BITS = 2 * 15.312


def information_map(local: LocalStatistics, noise_variance: float = NOISE_VARIANCE) -> Tensor:
    """w = log2((1 + s_x^2 / C)(1 + s_y^2 / C)), C = 0.4 on the 0..255 scale, divided by its largest value.

    Gives (N, 1, H, W) in [0, 1]; 0 where both pictures are flat. A larger C than the default keeps weak
    texture out, and is divided by the same value.
    """
    bits = _bits(local.ref_variance, noise_variance) + _bits(local.dist_variance, noise_variance)
    return bits / BOUND_BITS


def information_change(local: LocalStatistics, noise_variance: float = NOISE_VARIANCE) -> Tensor:
    """log2((1 + s_y^2 / C) / (1 + s_x^2 / C)), y the distorted picture, over half the map's bound; ours.

    Gives (N, 1, H, W) in [-1, 1]: below 0 where detail was lost, above 0 where something was added, which
    the map itself cannot tell apart.
    """
    bits = _bits(local.dist_variance, noise_variance) - _bits(local.ref_variance, noise_variance)
    return bits / (BOUND_BITS / 2)


def _bits(variance: Tensor, noise_variance: float) -> Tensor:
    # Rounding can leave a variance just below zero on flat regions.
    return torch.log2(1 + F.relu(variance) / noise_variance)
