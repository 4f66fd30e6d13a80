"""Structural similarity map.

Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE TIP 2004: Gaussian window 11x11, sigma 1.5, K1 = .01, K2 = .03, without down-sampling.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2
ORIGIN = 0.5


class LocalStatistics(NamedTuple):
    """Gaussian-weighted local moments of the two lumas, each (N, 1, H - 10, W - 10)."""

    ref_mean: Tensor
    dist_mean: Tensor
    ref_variance: Tensor
    dist_variance: Tensor
    covariance: Tensor


def gaussian_window(dtype: torch.dtype, device: torch.device) -> Tensor:
    offsets = torch.arange(WINDOW, dtype=dtype, device=device) - WINDOW // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return window / window.sum()


def local_statistics(ref: Tensor, dist: Tensor) -> LocalStatistics:
    """Moments under the Gaussian window, computed where the window fits ("valid").

    Takes two lumas (N, 1, H, W) in [0, 1]; SSIM and the information map share the result, so that the five
    blurs are paid for once.
    """
    # Variances do not depend on the origin; around mid-grey less of them cancels in single precision.
    ref, dist = ref - ORIGIN, dist - ORIGIN
    moments = torch.cat([ref, dist, ref * ref, dist * dist, ref * dist], dim=1)
    # A depthwise convolution on a CPU is an order of magnitude faster with the channels innermost.
    moments = moments.contiguous(memory_format=torch.channels_last)
    window = gaussian_window(ref.dtype, ref.device).expand(5, 1, 1, WINDOW)
    moments = F.conv2d(moments, window.contiguous(), groups=5)
    moments = F.conv2d(moments, window.transpose(2, 3).contiguous(), groups=5)
    ref_mean, dist_mean, ref_square, dist_square, product = torch.split(moments.contiguous(), 1, dim=1)
    return LocalStatistics(
        ref_mean + ORIGIN,
        dist_mean + ORIGIN,
        ref_square - ref_mean * ref_mean,
        dist_square - dist_mean * dist_mean,
        product - ref_mean * dist_mean,
    )


def ssim_map(local: LocalStatistics, c2: float = C2) -> Tensor:
    """SSIM = (2 mu_x mu_y + c1)(2 s_xy + c2) / ((mu_x^2 + mu_y^2 + c1)(s_x^2 + s_y^2 + c2)).

    Gives (N, 1, H, W) in [-1, 1]; exactly 1 where both pictures are the same.
    """
    ref_mean, dist_mean, ref_variance, dist_variance, covariance = local
    similarity = (2 * (ref_mean * dist_mean) + C1) * (2 * covariance + c2)
    energy = (ref_mean * ref_mean + dist_mean * dist_mean + C1) * (ref_variance + dist_variance + c2)
    return similarity / energy
