"""Means over the picture, blind to the padding."""

from typing import NamedTuple

import torch
from torch import Tensor


class Coverage(NamedTuple):
    """Share of each grid row and column that lies inside the picture, each normalised to sum 1."""

    rows: Tensor
    columns: Tensor

    @classmethod
    def of(cls, size: Tensor, rows: int, columns: int, cell: int) -> "Coverage":
        """size: float tensor (height, width) in pixels; a grid of rows x columns cells of `cell` pixels."""

        def share(extent: Tensor, count: int) -> Tensor:
            start = torch.arange(count, dtype=size.dtype, device=size.device) * cell
            inside = torch.clamp((extent - start) / cell, 0, 1)
            return inside / inside.sum()

        return cls(share(size[0], rows), share(size[1], columns))

    def mean(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C), weighted by the coverage."""
        return torch.matmul(torch.matmul(features, self.columns), self.rows)
