"""The no-reference metric: statistics of one picture -> kernel regression on people's ratings.

Most of the statistics are histograms of what natural scenes keep to, in the whole picture and in its centre;
a few say where the picture is bright and has contrast. Means and deviations of the channels of a small
convolutional network may be added, which has learned to tell distortions and their strength on pictures whose
damage is known. The regression says what people said of rated pictures that are alike in all of these.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from birqa.blind.config import BlindConfig
from birqa.blind.histograms import scene_histograms
from birqa.blind.layout import scene_layout
from birqa.blind.maps import MAPS, scene_maps

LIMIT = 4.0


def _convolution(normalised: bool, before: int, after: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    plain = nn.Conv2d(before, after, side, stride=stride, padding=side // 2, bias=not normalised)
    return nn.Sequential(plain, nn.BatchNorm2d(after)) if normalised else nn.Sequential(plain)


class ResidualBlock(nn.Module):
    """relu(x + Conv3x3(relu(Conv3x3(x))))."""

    def __init__(self, normalised: bool, width: int) -> None:
        super().__init__()
        self.first = _convolution(normalised, width, width)
        self.second = _convolution(normalised, width, width)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features + self.second(F.relu(self.first(features))))


class Statistics(nn.Module):
    """Maps of a picture -> means and deviations of the channels of every stage.

    While it learns, its convolutions are `normalised` over batches; `folded` gives the same without.
    """

    def __init__(self, config: BlindConfig, normalised: bool = False) -> None:
        super().__init__()
        self.config, self.normalised = config, normalised
        if not config.widths:
            return
        self.stem = _convolution(normalised, MAPS, config.widths[0], side=5, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                _convolution(normalised, before, after, stride=2), nn.ReLU(), ResidualBlock(normalised, after)
            )
            for before, after in pairwise(config.widths)
        )

    def forward(self, small: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1], shrunk -> (N, 2 * sum(widths))."""
        if not self.config.widths:
            return small[:, 0, 0, :0]
        features = F.relu(self.stem(scene_maps(small)))
        pooled = [*_mean_and_deviation(features)]
        for stage in self.stages:
            features = stage(features)
            pooled += _mean_and_deviation(features)
        return torch.cat(pooled, dim=1)

    def folded(self) -> "Statistics":
        """The same function with every normalisation folded into its convolution, in evaluation mode."""
        plain = Statistics(self.config)
        normalised = (part for part in self.modules() if isinstance(part, nn.BatchNorm2d))
        learned = (part for part in self.modules() if isinstance(part, nn.Conv2d))
        convolutions = (part for part in plain.modules() if isinstance(part, nn.Conv2d))
        for target, source, norm in zip(convolutions, learned, normalised, strict=True):
            target.load_state_dict(fuse_conv_bn_eval(source.eval(), norm.eval()).state_dict())
        return plain.eval()


def _mean_and_deviation(features: Tensor) -> tuple[Tensor, Tensor]:
    mean = features.mean((2, 3))
    variance = (features - mean[..., None, None]).square().mean((2, 3))
    return mean, torch.sqrt(variance + 1e-6)


def matern(distance: Tensor) -> Tensor:
    """(1 + r) exp(-r), r = sqrt(3 d), of squared distances d >= 0: the Matern kernel of order 3/2."""
    # Just above zero, where the root has no slope.
    root = torch.sqrt(3 * distance + 1e-8)
    return (1 + root) * torch.exp(-root)


class KernelRegression(nn.Module):
    """score = bias + sum_i c_i m(|z - z_i|^2), z = clamp((f - centre) * scale, +-limit), m: `matern`.

    The z_i are those of the rated pictures; `scale` holds each statistic's deviation and the weight that the
    kernel gives to it, `squares` the |z_i|^2. Fitted by `birqa.blind.regression`.
    """

    centre: Tensor
    scale: Tensor
    limit: Tensor
    supports: Tensor
    squares: Tensor
    coefficients: Tensor
    bias: Tensor

    def __init__(self, features: int, supports: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("scale", torch.zeros(features))
        self.register_buffer("limit", torch.zeros(features))
        self.register_buffer("supports", torch.zeros(supports, features))
        self.register_buffer("squares", torch.zeros(supports))
        self.register_buffer("coefficients", torch.zeros(supports))
        self.register_buffer("bias", torch.zeros(()))

    def forward(self, statistics: Tensor) -> Tensor:
        """(N, features) -> (N,), of any size."""
        placed = (statistics - self.centre) * self.scale
        placed = torch.maximum(torch.minimum(placed, self.limit), -self.limit)
        squares = placed.square().sum(1, keepdim=True) + self.squares
        distance = F.relu(squares - 2 * torch.matmul(placed, self.supports.T))
        return torch.matmul(matern(distance), self.coefficients) + self.bias


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
        return torch.cat([scene_histograms(small), scene_layout(small), self.statistics(small)], dim=1)

    def forward(self, rgb: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1], sides multiples of `config.multiple` -> (N,)."""
        return self.regression(self.describe(rgb)).clamp(0, 1)
