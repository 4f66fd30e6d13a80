"""Histograms of natural-scene statistics at four scales: smooth in the picture, so that gradients flow.

Source: the responses are those of BRISQUE (Mittal et al., 2012: normalised samples and products of
neighbours) and of FRIQUEE (Ghadiyaram and Bovik, 2017: chroma, local deviation, gradient, Laplacian).
Histograms with triangular bins in place of fitted distributions, their ranges and bins, and those of hue and
contrast together, are ours.
"""

from math import cos, pi, sin

import torch
from torch import Tensor
from torch.nn import functional as F

from birqa.blind.config import (
    CELLS,
    COLOUR_SCALE,
    CONTRASTS,
    DIRECTIONS,
    HUES,
    RESPONSES,
    SCALES,
    TONES,
)
from birqa.blind.maps import local_statistics, opponent_colours, part_means


def histogram(values: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Shares of triangular bins centred evenly from low to high, in each of CELLS x CELLS parts:
    (N, C, H, W) -> (N, C * bins, CELLS, CELLS).

    A bin is a difference of means of ramps clamp(t - k, 0, 1), which leaves 0 where nothing lies, or one
    rounding of the mean; the outer bins take what lies beyond.
    """
    placed = (values - low) * ((bins - 1) / (high - low))
    knots = torch.arange(bins - 1, device=values.device, dtype=values.dtype)[:, None, None]
    above = (placed[:, :, None] - knots).clamp(0, 1)
    none = torch.zeros_like(above[:, :, :1])
    # Averaged alike, so that equal ramps leave nothing between them.
    ends = torch.cat([none + 1, above, none], dim=2)
    ends = part_means(ends.flatten(1, 2)).unflatten(1, ends.shape[1:3])
    return (ends[:, :, :-1] - ends[:, :, 1:]).flatten(1, 2)


def hue_amounts(colours: Tensor) -> Tensor:
    """Luma and chroma (N, 3, H, W) -> (N, HUES, H, W), how much there is of each hue: the two next to a
    colour take what makes it up, (blue, red) = sum_k a_k (cos, sin)(2 pi k / HUES), a_k >= 0.

    Linear between hues, so that gradients are finite where there is no colour.
    """
    _, blue, red = colours.split(1, dim=1)
    step = 2 * pi / HUES

    def beyond(turn: int) -> Tensor:
        """Sine of the angle from `turn` hues further to the colour, times its chroma."""
        angles = [step * (hue + turn) for hue in range(HUES)]
        along, across = (
            torch.tensor([of(angle) for angle in angles], dtype=colours.dtype, device=colours.device)
            for of in (cos, sin)
        )
        return along[:, None, None] * red - across[:, None, None] * blue

    return F.relu(torch.minimum(beyond(-1), -beyond(1))) / sin(step)


def scene_histograms(rgb: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1], sides at least 16 -> (N, 2 * sum(HISTOGRAMS)), square roots of shares, or
    of mean amounts of hues, in the whole picture, then in its centre, half as wide and high: what is shown
    there is looked at most.

    The finest scale is looked at in every second row and column, which holds samples enough.
    """
    scales = [rgb]
    while len(scales) < SCALES:
        scales.append(F.avg_pool2d(scales[-1], 2))
    parts = [part for scale, small in enumerate(scales) for part in _scale(small, stride=1 if scale else 2)]
    grid = torch.cat([*parts, *_tones(scales[COLOUR_SCALE]), _hues(scales[COLOUR_SCALE])], dim=1)
    inner = slice(CELLS // 4, CELLS - CELLS // 4)
    regions = torch.cat([grid.mean((2, 3)), grid[:, :, inner, inner].mean((2, 3))], dim=1)
    # Just above zero, where the root has no slope, and rounding may leave less than zero.
    return torch.sqrt(F.relu(regions) + 1e-4)


def _scale(rgb: Tensor, stride: int) -> list[Tensor]:
    # The mirror image of the outermost samples: the coarsest scale of a small picture has few others.
    colours = F.pad(opponent_colours(rgb), [1] * 4, mode="reflect")
    mean, deviation, normalised = local_statistics(colours)
    height, width = colours.shape[-2:]

    def every(planes: Tensor, down: int = 0, right: int = 0) -> Tensor:
        """Every `stride`-th sample of the planes moved by so much, without the mirrored ones."""
        # Of two the second, whose pair with the next may lie across the border of two of JPEG's blocks.
        rows, columns = (
            slice(stride + down, height - 1 + down, stride),
            slice(stride + right, width - 1 + right, stride),
        )
        return planes[:, :, rows, columns]

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


def _hues(rgb: Tensor) -> Tensor:
    """Which hues there are where contrast is low and high: (N, HUES * CONTRASTS, CELLS, CELLS)."""
    colours = opponent_colours(rgb)
    _, deviation, _ = local_statistics(colours)
    low, high = -8, -2
    levels = (torch.log2(deviation[:, :1] + 1 / 512) - low) * ((CONTRASTS - 1) / (high - low))
    bins = torch.arange(CONTRASTS, device=rgb.device, dtype=rgb.dtype)[:, None, None]
    contrast = F.relu(1 - (levels.clamp(0, CONTRASTS - 1) - bins).abs())
    return part_means((hue_amounts(colours)[:, :, None] * contrast[:, None]).flatten(1, 2))
