"""Colour difference in YCbCr.

Source: ITU-R BT.601 luma, full range; the signed difference is our default (the paper names only "YCbCr
color difference").
"""

import torch
from torch import Tensor


def luma(image: Tensor) -> Tensor:
    """Y = .299 R + .587 G + .114 B of RGB (N, 3, H, W) in [0, 1]; gives (N, 1, H, W) in [0, 1]."""
    red, green, blue = torch.split(image, 1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def rgb_to_ycbcr(image: Tensor) -> Tensor:
    """Y as `luma`, Cb = .564 (B - Y) + .5, Cr = .713 (R - Y) + .5.

    Takes RGB (N, 3, H, W) in [0, 1], gives YCbCr of the same shape: Y in [0, 1], Cb and Cr in about [0, 1].
    """
    y = luma(image)
    return torch.cat([y, 0.564 * (image[:, 2:] - y) + 0.5, 0.713 * (image[:, :1] - y) + 0.5], dim=1)


def colour_difference(ref_ycbcr: Tensor, dist_ycbcr: Tensor) -> Tensor:
    """Signed difference distorted - reference of two YCbCr pictures (N, 3, H, W); values in [-1, 1]."""
    return dist_ycbcr - ref_ycbcr
