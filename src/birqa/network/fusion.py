"""Pre-processing of each feature, and their adaptive fusion at one level.

Source: BiRQA section 3.2; squeeze-and-excitation after Hu et al., CVPR 2018.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.network.pooling import Coverage
from birqa.pyramid import CHANNELS


class Preprocess(nn.Module):
    """h = relu(patch convolution(map)); output h * sigmoid(Conv3x3(h)).

    The patches read the map at its full resolution and leave a grid `patch` times smaller; the one-channel
    gate highlights the regions that matter for this feature.
    """

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, stride=patch)
        self.gate = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, feature: Tensor, inside: Tensor) -> Tensor:
        hidden = F.relu(self.embed(feature))
        return hidden * torch.sigmoid(self.gate(hidden * inside))


class ResidualBlock(nn.Module):
    """relu(x + Conv3x3(relu(Conv3x3(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor, inside: Tensor) -> Tensor:
        hidden = F.relu(self.first(features * inside))
        return F.relu(features + self.second(hidden * inside))


class AdaptiveFusion(nn.Module):
    """X = concat of the pre-processed features; a = sigmoid(W2 relu(W1 GAP(X))); F = Conv(a * X).

    GAP and the convolutions are blind to the padding.
    """

    def __init__(self, width: int, patch: int, squeeze: int, blocks: int) -> None:
        super().__init__()
        feature_width = width // 2
        joined = feature_width * len(CHANNELS)
        self.channels = list(CHANNELS.values())
        self.preprocess = nn.ModuleList(
            Preprocess(channels, feature_width, patch) for channels in self.channels
        )
        self.squeeze = nn.Linear(joined, joined // squeeze)
        self.excite = nn.Linear(joined // squeeze, joined)
        self.mix = nn.Conv2d(joined, width, 1)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))

    def forward(self, maps: Tensor, coverage: Coverage) -> Tensor:
        """maps (N, 7, H, W) -> (N, width, H / patch, W / patch)."""
        features = torch.split(maps, self.channels, dim=1)
        joined = torch.cat(
            [
                preprocess(feature, coverage.inside)
                for preprocess, feature in zip(self.preprocess, features, strict=True)
            ],
            dim=1,
        )
        attention = torch.sigmoid(self.excite(F.relu(self.squeeze(coverage.mean(joined)))))
        fused = F.relu(self.mix(joined * attention[..., None, None]))
        for block in self.blocks:
            fused = block(fused, coverage.inside)
        return fused
