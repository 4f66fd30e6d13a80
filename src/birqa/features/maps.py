"""The four feature maps together, and their pyramid."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.features.colour import colour_difference, rgb_to_ycbcr
from birqa.features.information import NOISE_VARIANCE, information_change, information_map
from birqa.features.lbp import lbp_difference, soft_lbp_difference
from birqa.features.ssim import C2, local_statistics, ssim_map
from birqa.pyramid import HALO

LbpMode = Literal["hard", "soft", "straight-through"]


def _crop(image: Tensor, border: int) -> Tensor:
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]


class FeatureMaps(nn.Module):
    """Two pictures -> seven maps at each pyramid level: 1 - SSIM, information and its change, dY, dCb, dCr,
    LBP difference.

    Holds no weights. `lbp` chooses the hard form, the soft one, or "straight-through": the hard value with
    the soft form's gradient, so that an optimiser or an attacker sees through the comparison. `floor`, in
    luma units, is a contrast below which differences of texture hardly count: the LBP's margin, and its
    square the least constant that is added to variances; 0 leaves the constants of the literature.
    """

    def __init__(
        self, levels: int = 4, lbp: LbpMode = "hard", lbp_temperature: float = 0.02, floor: float = 0.0
    ) -> None:
        super().__init__()
        if lbp not in ("hard", "soft", "straight-through"):
            raise ValueError(f"lbp={lbp!r} is not known: use 'hard', 'soft' or 'straight-through'.")
        self.levels = levels
        self.lbp = lbp
        self.lbp_temperature = lbp_temperature
        self.floor = floor

    def lbp_map(self, ref: Tensor, dist: Tensor) -> Tensor:
        if self.lbp == "soft":
            return soft_lbp_difference(ref, dist, self.lbp_temperature, self.floor)
        hard = lbp_difference(ref, dist, self.floor)
        if self.lbp == "hard" or not torch.is_grad_enabled() or not dist.requires_grad:
            return hard
        soft = soft_lbp_difference(ref, dist, self.lbp_temperature, self.floor)
        return hard + (soft - soft.detach())

    def forward(self, dist: Tensor, ref: Tensor) -> list[Tensor]:
        """Takes RGB (N, 3, H + 10, W + 10) in [0, 1], already padded by the halo of 5 pixels on each side.

        H and W are multiples of 2^(levels - 1). Gives, for each level l, (N, 7, H / 2^l, W / 2^l).
        """
        ref_ycbcr, dist_ycbcr = rgb_to_ycbcr(ref), rgb_to_ycbcr(dist)
        ref_luma, dist_luma = ref_ycbcr[:, :1], dist_ycbcr[:, :1]
        local = local_statistics(ref_luma, dist_luma)
        noise_variance = max(NOISE_VARIANCE, self.floor**2)
        maps = torch.cat(
            [
                1 - ssim_map(local, max(C2, self.floor**2)),
                information_map(local, noise_variance),
                information_change(local, noise_variance),
                _crop(colour_difference(ref_ycbcr, dist_ycbcr), HALO),
                self.lbp_map(_crop(ref_luma, HALO - 1), _crop(dist_luma, HALO - 1)),
            ],
            dim=1,
        )
        pyramid = [maps]
        for _ in range(1, self.levels):
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))
        return pyramid
