"""Cross-Scale Residual Attention Module: fine cues lifted to the next coarser level.

Source: BiRQA section 3.3; spatial attention after Woo et al. (CBAM), ECCV 2018.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Lifted(NamedTuple):
    """Refined coarse features, and the one-channel strength (>= 0) and confidence (0..1) maps."""

    features: Tensor
    strength: Tensor
    confidence: Tensor


class CSRAM(nn.Module):
    """m = Conv3x3([Down(F_fine); F_coarse]), M = sigmoid(Conv7x7([mean_c m; max_c m])), m^ = m * M,
    S = softplus(W_S n), C = sigmoid(W_C n), V = W_V m^, F' = F_coarse + S * C * V.

    n = m^ / sqrt(1 + mean_c m^^2) is ours: with S read from m^ itself, the exchange would grow with the
    square of the damage.
    """

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.message = nn.Conv2d(fine + coarse, coarse, 3, padding=1)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)
        self.strength = nn.Conv2d(coarse, 1, 1)
        self.confidence = nn.Conv2d(coarse, 1, 1)
        self.value = nn.Conv2d(coarse, coarse, 1)

    def forward(self, fine: Tensor, coarse: Tensor, inside: Tensor) -> Lifted:
        """fine (N, C_f, 2h, 2w), coarse (N, C_c, h, w), its `Coverage.inside` (h, w) -> features
        (N, C_c, h, w), maps (N, 1, h, w)."""
        joined = torch.cat([F.avg_pool2d(fine, 2), coarse], dim=1)
        message = F.relu(self.message(joined * inside))
        summary = torch.cat([message.mean(1, keepdim=True), message.amax(1, keepdim=True)], dim=1)
        message = message * torch.sigmoid(self.spatial(summary * inside))
        normalised = message * torch.rsqrt(1 + (message * message).mean(1, keepdim=True))
        strength = F.softplus(self.strength(normalised))
        confidence = torch.sigmoid(self.confidence(normalised))
        return Lifted(coarse + strength * confidence * self.value(message), strength, confidence)
