"""The no-reference metric: statistics of one picture -> kernel regression on people's ratings.

Half of the statistics are histograms of what natural scenes keep to. The others are means and deviations of
the channels of a small convolutional network, which has learned to tell distortions and their strength on
pictures whose damage is known. The regression says what people said of rated pictures that are alike in both.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.blind.config import BlindConfig
from birqa.blind.histograms import scene_histograms
from birqa.blind.maps import MAPS, scene_maps

LIMIT = 4.0


def _convolution(before: int, after: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, side, stride=stride, padding=side // 2, bias=False), nn.BatchNorm2d(after)
    )


class ResidualBlock(nn.Module):
    """relu(x + Conv3x3(relu(Conv3x3(x)))), normalised over batches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = _convolution(width, width)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features + self.second(F.relu(self.first(features))))


class Statistics(nn.Module):
    """Maps of a picture -> means and deviations of the channels of every stage."""

    def __init__(self, config: BlindConfig) -> None:
        super().__init__()
        self.stem = _convolution(MAPS, config.widths[0], side=5, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(_convolution(before, after, stride=2), nn.ReLU(), ResidualBlock(after))
            for before, after in pairwise(config.widths)
        )

    def forward(self, small: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1], shrunk -> (N, 2 * sum(widths))."""
        features = F.relu(self.stem(scene_maps(small)))
        pooled = [*_mean_and_deviation(features)]
        for stage in self.stages:
            features = stage(features)
            pooled += _mean_and_deviation(features)
        return torch.cat(pooled, dim=1)


def _mean_and_deviation(features: Tensor) -> tuple[Tensor, Tensor]:
    mean = features.mean((2, 3))
    variance = (features - mean[..., None, None]).square().mean((2, 3))
    return mean, torch.sqrt(variance + 1e-6)


class KernelRegression(nn.Module):
    """score = bias + sum_i c_i exp(-|z - z_i|^2), z = clamp((f - centre) * scale, +-limit).

    The z_i are those of the rated pictures; `scale` holds each statistic's deviation and the weight that the
    kernel gives to it. Fitted by `birqa.blind.regression`.
    """

    centre: Tensor
    scale: Tensor
    limit: Tensor
    supports: Tensor
    coefficients: Tensor
    bias: Tensor

    def __init__(self, features: int, supports: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("scale", torch.zeros(features))
        self.register_buffer("limit", torch.zeros(features))
        self.register_buffer("supports", torch.zeros(supports, features))
        self.register_buffer("coefficients", torch.zeros(supports))
        self.register_buffer("bias", torch.zeros(()))

    def forward(self, statistics: Tensor) -> Tensor:
        """(N, features) -> (N,), of any size."""
        placed = (statistics - self.centre) * self.scale
        placed = torch.maximum(torch.minimum(placed, self.limit), -self.limit)
        squares = placed.square().sum(1, keepdim=True) + self.supports.square().sum(1)
        distance = F.relu(squares - 2 * torch.matmul(placed, self.supports.T))
        return torch.matmul(torch.exp(-distance), self.coefficients) + self.bias


class Blind(nn.Module):
    """Pictures -> scores in [0, 1]; 1 is the best that the scale of the ratings has."""

    def __init__(self, config: BlindConfig) -> None:
        super().__init__()
        self.config = config
        self.statistics = Statistics(config)
        self.regression = KernelRegression(sum(config.groups), config.supports)

    def describe(self, rgb: Tensor) -> Tensor:
        """All statistics of pictures as `forward` takes them, (N, sum(config.groups))."""
        small = F.avg_pool2d(rgb, self.config.shrink)
        return torch.cat([scene_histograms(small), self.statistics(small)], dim=1)

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1], sides multiples of `config.multiple` -> (N,)."""
        return self.regression(self.describe(rgb)).clamp(0, 1)
