"""FACPA: a network that paints the attack in one pass."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.attacks.trained import TrainedAttack


class UNet(nn.Module):
    """A small U-Net in the manner of pix2pix: strided convolutions down, skip connections up, tanh."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * 2 ** min(level, 2) for level in range(depth)]
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1)
            for before, after in zip([3, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(widths[level] + widths[level - 1], widths[level - 1], 3, padding=1)
            for level in reversed(range(1, depth))
        )
        self.last = nn.Conv2d(widths[0] + 3, 3, 3, padding=1)

    def forward(self, dist: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> changes in [-1, 1]."""
        height, width = dist.shape[-2:]
        unit = 2 ** len(self.down)
        padded = F.pad(dist - 0.5, (0, -width % unit, 0, -height % unit), mode="replicate")
        skips = [padded]
        for layer in self.down:
            skips.append(F.leaky_relu(layer(skips[-1]), 0.2))
        deep = skips.pop()
        for layer in self.up:
            deep = F.relu(layer(torch.cat([F.interpolate(deep, scale_factor=2.0), skips.pop()], 1)))
        change = self.last(torch.cat([F.interpolate(deep, scale_factor=2.0), skips.pop()], 1))
        return torch.tanh(change[..., :height, :width])


@dataclass(frozen=True, kw_only=True)
class FACPA(TrainedAttack):
    """A U-Net's tanh times the budget, trained with Adam 1e-3.

    Shumitskaya et al., "Fast adversarial CNN-based perturbation attack on no-reference image- and
    video-quality metrics", 2023. Width and depth are ours.
    """

    name: ClassVar[str] = "facpa"

    width: int = 32
    depth: int = 4

    def new_generator(self) -> nn.Module:
        return UNet(self.width, self.depth)
