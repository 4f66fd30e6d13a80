"""Where the picture is on a grid of cells, and means that are blind to the padding."""

from typing import NamedTuple

import torch
from torch import Tensor


class Coverage(NamedTuple):
    """Share of each grid row and column that lies inside the picture."""

    rows: Tensor
    """(h,), normalised to sum 1."""
    columns: Tensor
    """(w,), normalised to sum 1."""
    inside: Tensor
    """(h, w), each cell's share in [0, 1]. Convolutions see features times this: beyond the picture they find
    the zeros that they find beyond whole cells, so that a pixel more changes little."""

    @classmethod
    def of(cls, size: Tensor, rows: int, columns: int, cell: int) -> "Coverage":
        """size: float tensor (height, width) in pixels; a grid of rows x columns cells of `cell` pixels."""

        def share(extent: Tensor, count: int) -> Tensor:
            start = torch.arange(count, dtype=size.dtype, device=size.device) * cell
            return torch.clamp((extent - start) / cell, 0, 1)

        down, across = share(size[0], rows), share(size[1], columns)
        return cls(down / down.sum(), across / across.sum(), down[:, None] * across)

    def mean(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C), weighted by the coverage."""
        # Not as two products with vectors, on which ONNX Runtime is slower.
        return (features * (self.rows[:, None] * self.columns)).sum((2, 3))
