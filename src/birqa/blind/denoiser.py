"""A small denoiser, blind to the strength of the noise: what stands between noise and metric.

Source: U-Net after Ronneberger, Fischer and Brox, 2015; pictures folded into channels, so that most of the
work is done on a coarser grid, after Zhang, Zuo and Zhang, "FFDNet", 2018; it predicts the noise, as DnCNN
does. Widths and depth are ours.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.blind.config import DenoiserConfig


class Denoiser(nn.Module):
    """Noisy pictures -> pictures in [0, 1]."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        channels = 3 * config.fold**2
        self.first = nn.Conv2d(channels, config.widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(config.widths)
        )
        self.encode = nn.ModuleList(_pair(width) for width in config.widths[1:])
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in pairwise(config.widths))
        self.decode = nn.ModuleList(_pair(width) for width in config.widths[:-1])
        self.last = nn.Conv2d(config.widths[0], channels, 3, padding=1)
        # At first nothing is taken for noise.
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, noisy: Tensor) -> Tensor:
        """RGB (N, 3, H, W) with noise, unclamped; sides are multiples of `config.multiple`."""
        features = F.relu(self.first(F.pixel_unshuffle(noisy, self.config.fold)))
        kept = []
        for down, encode in zip(self.down, self.encode, strict=True):
            kept.append(features)
            features = F.relu(down(features))
            features = F.relu(features + encode(features))
        for level in reversed(range(len(self.up))):
            features = F.relu(kept[level] + F.pixel_shuffle(self.up[level](features), 2))
            features = F.relu(features + self.decode[level](features))
        noise = F.pixel_shuffle(self.last(features), self.config.fold)
        return torch.clamp(noisy - noise, 0, 1)


def _pair(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
    )
