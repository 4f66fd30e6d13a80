"""Analytic maps of one picture: what natural scenes keep to, and distortions break.

Source: mean-subtracted, contrast-normalised samples after Mittal, Moorthy and Bovik, "No-reference image
quality assessment in the spatial domain" (BRISQUE), 2012, with its 7x7 Gaussian window; for chroma too, after
Ghadiyaram and Bovik, "Perceptual quality prediction on authentically distorted images using a bag of
features approach" (FRIQUEE), 2017. Scales and offsets of the maps are ours.
"""

from math import exp

import torch
from torch import Tensor
from torch.nn import functional as F

from birqa.blind.config import CELLS

MAPS = 9
_RADIUS = 3
_SIGMA = 7 / 6
# Half a grey level or so: where the picture is flat, its noise is not blown up.
_FLOOR = 1 / 255
_VARIANCE_FLOOR = 1e-5
# About the middle of each channel's range squares round least, which bright flat parts would show.
_MIDDLE = (0.5, 0.0, 0.0)


_WEIGHTS = [exp(-(offset**2) / (2 * _SIGMA**2)) for offset in range(-_RADIUS, _RADIUS + 1)]
_WINDOW = [weight / sum(_WEIGHTS) for weight in _WEIGHTS]


def local_mean(planes: Tensor) -> Tensor:
    """(N, 3, H, W) under the Gaussian window, edges repeated."""
    # Written out for each channel, since a graph must know the shape of a kernel.
    row = torch.tensor([[[_WINDOW]]] * 3, dtype=planes.dtype, device=planes.device)
    padded = F.pad(planes, [_RADIUS] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, row, groups=3), row.transpose(2, 3), groups=3)


def opponent_colours(rgb: Tensor) -> Tensor:
    """RGB in [0, 1] -> BT.601 luma in [0, 1] and twice the chroma differences, (N, 3, H, W)."""
    red, green, blue = rgb.split(1, dim=1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.cat([luma, 2 * 0.564 * (blue - luma), 2 * 0.713 * (red - luma)], dim=1)


def local_statistics(planes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Luma and chroma -> local mean, local deviation, and the samples normalised by them, (N, 3, H, W)."""
    middle = torch.tensor(_MIDDLE, dtype=planes.dtype, device=planes.device)[:, None, None]
    centred = planes - middle
    mean = local_mean(centred)
    variance = F.relu(local_mean(centred * centred) - mean * mean)
    deviation = torch.sqrt(variance + _VARIANCE_FLOOR)
    return mean + middle, deviation, (centred - mean) / (deviation + _FLOOR)


def shares(planes: Tensor, axis: int) -> Tensor:
    """(CELLS, length): how much of each part of the picture every row or column makes up; each sums to 1."""
    # Counted by a sum, so that a traced graph takes pictures of any size.
    places = torch.ones_like(planes[0, 0].select(3 - axis, 0)).cumsum(0)
    part = places[-1] / CELLS
    ends = torch.arange(1, CELLS + 1, device=planes.device, dtype=planes.dtype)[:, None] * part
    inside = torch.minimum(places, ends) - torch.maximum(places - 1, ends - part)
    return inside.clamp(0, 1) / part


def part_means(planes: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, CELLS, CELLS): means over the parts of the picture."""
    return torch.matmul(shares(planes, 2), torch.matmul(planes, shares(planes, 3).T))


def scene_maps(rgb: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1] -> (N, 9, H, W): for luma and both chromas

    - m = (x - mean) / (deviation + 1/255), the contrast-normalised samples;
    - log2(deviation) / 4 + 1, local contrast, about -1 .. 1;
    - x itself, about -1 .. 1.
    """
    colours = opponent_colours(rgb)
    _, deviation, normalised = local_statistics(colours)
    luma, chroma = 2 * colours[:, :1] - 1, 2 * colours[:, 1:]
    return torch.cat([normalised, torch.log2(deviation) / 4 + 1, luma, chroma], dim=1)
