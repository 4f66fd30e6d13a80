"""Where a picture is bright and where it has contrast: its composition in a few numbers (ours)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from birqa.blind.maps import local_statistics, opponent_colours, part_means

_SHRINK = 4


def scene_layout(rgb: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1], sides at least 16 -> (N, LAYOUT): means over the parts of the picture, of
    luma, then of log2(local deviation) / 4. Parts left and right that mirror each other count as one."""
    colours = opponent_colours(F.avg_pool2d(rgb, _SHRINK))
    _, deviation, _ = local_statistics(colours)
    planes = torch.cat([colours[:, :1], torch.log2(deviation[:, :1]) / 4], dim=1)
    left, right = part_means(planes).chunk(2, dim=3)
    return ((left + right.flip(3)) / 2).flatten(1)
