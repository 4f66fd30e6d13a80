"""Spatial Cross-Gating Block: coarse context sent back to the next finer level.

Source: BiRQA section 3.3, after the cross-gating of MAXIM (Tu et al., CVPR 2022) and COVER.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SCGB(nn.Module):
    """G = sigmoid(Up(Conv1x1(F'_coarse))), F'' = F'_fine + Conv1x1(F'_fine * G).

    A 1x1 convolution and a linear interpolation commute; convolving first is cheaper.
    """

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(coarse, fine, 1)
        self.value = nn.Conv2d(fine, fine, 1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """fine (N, C_f, 2h, 2w), coarse (N, C_c, h, w) -> (N, C_f, 2h, 2w)."""
        gate = torch.sigmoid(F.interpolate(self.gate(coarse), scale_factor=2.0, mode="nearest"))
        refined: Tensor = fine + self.value(fine * gate)
        return refined
