"""Histograms of natural-scene statistics at three scales: smooth in the picture, so that gradients flow.

Source: the responses are those of BRISQUE (Mittal et al., 2012: normalised samples and products of
neighbours) and of FRIQUEE (Ghadiyaram and Bovik, 2017: chroma, local deviation, gradient, Laplacian).
Histograms with triangular bins in place of fitted distributions, their ranges and bins are ours.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from birqa.blind.config import CELLS, DIRECTIONS, RESPONSES, SCALES, TONES
from birqa.blind.maps import local_statistics, opponent_colours, shares


def histogram(values: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Shares of triangular bins centred evenly from low to high, in each of CELLS x CELLS parts:
    (N, C, H, W) -> (N, C * bins, CELLS, CELLS).

    A bin is a difference of means of ramps clamp(t - k, 0, 1), which leaves exactly 0 where nothing lies; the
    outer bins take what lies beyond.
    """
    placed = (values - low) * ((bins - 1) / (high - low))
    knots = torch.arange(bins - 1, device=values.device, dtype=values.dtype)[:, None, None]
    above = (placed[:, :, None] - knots).clamp(0, 1)
    none = torch.zeros_like(above[:, :, :1])
    # Averaged alike, so that equal ramps leave exactly nothing between them.
    ends = torch.cat([none + 1, above, none], dim=2)
    ends = torch.matmul(shares(values, 2), torch.matmul(ends, shares(values, 3).T))
    return (ends[:, :, :-1] - ends[:, :, 1:]).flatten(1, 2)


def scene_histograms(rgb: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1], sides at least 16 -> (N, 2 * sum(HISTOGRAMS)), square roots of shares in
    the whole picture, then in its centre, half as wide and high: what is shown there is looked at most.

    The finest scale is looked at in every second row and column, which holds samples enough.
    """
    parts = []
    for scale in range(SCALES):
        if scale:
            rgb = F.avg_pool2d(rgb, 2)
        parts += _scale(rgb, stride=1 if scale else 2)
    parts += _tones(rgb)
    grid = torch.cat(parts, dim=1)
    inner = slice(CELLS // 4, CELLS - CELLS // 4)
    regions = torch.cat([grid.mean((2, 3)), grid[:, :, inner, inner].mean((2, 3))], dim=1)
    # Just above zero, where the root has no slope, and rounding may leave less than zero.
    return torch.sqrt(F.relu(regions) + 1e-4)


def _scale(rgb: Tensor, stride: int) -> list[Tensor]:
    colours = opponent_colours(rgb)
    mean, deviation, normalised = local_statistics(colours)
    height, width = colours.shape[-2:]

    def every(planes: Tensor, down: int = 0, right: int = 0) -> Tensor:
        """Every `stride`-th sample of the planes moved by so much, without the outermost ones."""
        return planes[:, :, 1 + down : height - 1 + down : stride, 1 + right : width - 1 + right : stride]

    products = torch.cat([every(normalised) * every(normalised, *to) for to in DIRECTIONS], dim=1)
    steps = [every(colours, *to) - every(colours) for to in ((1, 0), (0, 1))]
    gradient = torch.sqrt(steps[0] ** 2 + steps[1] ** 2 + 1e-8)
    laplacian = (every(colours) - every(mean)).abs()
    return [
        histogram(every(normalised), -3, 3, RESPONSES["normalised"]),
        histogram(torch.sign(products) * torch.log1p(4 * products.abs()), -2.5, 2.5, RESPONSES["product"]),
        histogram(torch.log2(every(deviation) + 1 / 512), -9, -1, RESPONSES["deviation"]),
        histogram(torch.log2(gradient + 1 / 1024), -10, 0, RESPONSES["gradient"]),
        histogram(torch.log2(laplacian + 1 / 1024), -10, -1, RESPONSES["laplacian"]),
    ]


def _tones(rgb: Tensor) -> list[Tensor]:
    luma, blue, red = opponent_colours(rgb).split(1, dim=1)
    largest, smallest = rgb.amax(1, keepdim=True), rgb.amin(1, keepdim=True)
    saturation = (largest - smallest) / (largest + 0.05)
    ranges = {
        "luma": (luma, 0, 1),
        "saturation": (saturation, 0, 1),
        "largest": (largest, 0, 1),
        "smallest": (smallest, 0, 1),
        "blue": (blue, -0.6, 0.6),
        "red": (red, -0.6, 0.6),
    }
    return [histogram(values, low, high, TONES[name]) for name, (values, low, high) in ranges.items()]
