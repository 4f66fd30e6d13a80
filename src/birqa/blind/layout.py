"""Where a picture is bright and where it has contrast: its composition in a few numbers (ours)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from birqa.blind.config import LAYOUT_CELLS
from birqa.blind.maps import local_statistics, opponent_colours

_SHRINK = 4


def scene_layout(rgb: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1], sides at least 16 -> (N, 2 * cells^2): means over cells x cells parts of
    the picture, of luma, then of log2(local deviation) / 4."""
    colours = opponent_colours(F.avg_pool2d(rgb, _SHRINK))
    _, deviation, _ = local_statistics(colours)
    planes = torch.cat([colours[:, :1], torch.log2(deviation[:, :1]) / 4], dim=1)
    rows, columns = (_shares(planes, axis) for axis in (2, 3))
    return torch.matmul(torch.matmul(rows, planes), columns.T).flatten(1)


def _shares(planes: Tensor, axis: int) -> Tensor:
    """(cells, length): how much of each part every row or column makes up; each part sums to 1."""
    # Counted by a sum, so that a traced graph takes pictures of any size.
    places = torch.ones_like(planes[0, 0].select(3 - axis, 0)).cumsum(0)
    part = places[-1] / LAYOUT_CELLS
    ends = torch.arange(1, LAYOUT_CELLS + 1, device=planes.device, dtype=planes.dtype)[:, None] * part
    inside = torch.minimum(places, ends) - torch.maximum(places - 1, ends - part)
    return inside.clamp(0, 1) / part
