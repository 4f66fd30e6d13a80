"""Other metrics under the training loop, so that defences can be compared on more than one."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.evaluation.peers import pyiqa_loss


class Adapted(nn.Module):
    """Any differentiable metric, as the training loop takes it.

    `metric` is a module (dist, ref) -> values, of any range, larger for better pictures or, with
    `larger_is_better` False, for worse ones: LPIPS, or a network of pyiqa. A logistic curve with two learned
    numbers, which never turns round, takes the values to scores in 0..1.
    """

    def __init__(self, metric: nn.Module, larger_is_better: bool) -> None:
        super().__init__()
        self.metric = metric
        self.sign = 1.0 if larger_is_better else -1.0
        self.log_slope = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, dist: Tensor, ref: Tensor, levels: bool = False) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] -> (N,); with `levels` (N, 1), as there are none."""
        value = self.sign * self.metric(dist, ref).reshape(len(dist))
        score = torch.sigmoid(self.log_slope.exp() * value + self.offset)
        return score[:, None] if levels else score


def adapt_pyiqa(name: str) -> Adapted:
    """A full-reference metric of the pyiqa package with the weights that it comes with, such as lpips or
    topiq_fr, to be trained further. Raises ImportError where pyiqa is missing."""
    metric = pyiqa_loss(name)
    return Adapted(metric.requires_grad_(True), larger_is_better=not metric.lower_better)


class DeepFeatures(nn.Module):
    """A small network in the manner of LPIPS, to be trained here: it stands in where LPIPS is not installed.

    Both pictures pass the same convolutions; at each scale the features are normalised over channels, their
    squared differences weighted by learned weights >= 0 and averaged. 1 / (1 + sum) is the score: 1 for
    equal pictures.

    Source: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018.
    Widths, and features trained with the weights from the start, are ours.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 48, 64)) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise([3, *widths])
        )
        self.log_weights = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths)

    def forward(self, dist: Tensor, ref: Tensor, levels: bool = False) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] -> (N,); with `levels` (N, 1), as scales have no scores of their own."""
        both = torch.cat([dist, ref]) - 0.5
        distance = torch.zeros(len(dist)).to(dist)
        for layer, log_weight in zip(self.layers, self.log_weights, strict=True):
            both = F.leaky_relu(layer(both), 0.1)
            one, other = (both / (both.square().sum(1, keepdim=True) + 1e-6).sqrt()).chunk(2)
            weighted = log_weight.exp()[:, None, None] * (one - other).square()
            distance = distance + weighted.sum(1).mean((1, 2))
        score = 1 / (1 + distance)
        return score[:, None] if levels else score
