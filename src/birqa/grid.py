"""Which grid of cells a pair is averaged on, for metrics that see the means of cells. Free of torch.

Means over cells of `shrink` x `shrink` pixels hide what cancels inside a cell. A picture that was made on
such a grid itself, as by halving and doubling its size, may differ from its reference inside the cells only,
and would pass for flawless where the grids fall together. So each pair is scored on the grid that begins at
its corner, unless on another one the cells differ much more: then on the one where they differ most. The rule
is ours. What cancels inside the cells of every grid, such as a checkerboard of single pixels, stays unseen.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from birqa.images import to_float

LUMA = (5, 9, 2)
"""Sixteenths of red, green and blue: near BT.601's luma, in small whole numbers. Colours that a codec has
averaged over 2x2 pixels must not count."""
MUCH_MORE = 1.7
"""Times the mean squared difference on the corner's grid. By 2x2 cells no rated pair of docs/results.md comes
there."""
ALIKE = 1e-4
"""Grids whose differences differ by less, relatively, are alike, whatever an engine's rounding: the first
counts."""

Grid = tuple[int, int]
"""(row, column) of the first whole cell's corner, each below `shrink`."""
CORNER: Grid = (0, 0)


def choose_grid(differences: NDArray[np.floating]) -> Grid:
    """The grid to score on, given the mean squared difference of cells on each, (shrink, shrink)."""
    largest = float(differences.max())
    if not largest > MUCH_MORE * float(differences[CORNER]):
        return CORNER
    row, column = np.argwhere(differences >= largest * (1 - ALIKE))[0]
    return int(row), int(column)


def find_grid(dist: np.ndarray, ref: np.ndarray, shrink: int) -> Grid:
    """For two pictures (H, W, 3), uint8 or float, by their luma."""
    if shrink == 1:
        return CORNER
    if dist.dtype == ref.dtype == np.uint8:
        # Several times faster than floats; sums over cells must fit.
        kind: type[Any] = np.int16 if 255 * sum(LUMA) * shrink**2 < 2**15 else np.int32
    else:
        dist, ref, kind = to_float(dist), to_float(ref), np.float32
    red, green, blue = (
        np.subtract(dist[..., channel], ref[..., channel], dtype=kind) * kind(weight)
        for channel, weight in enumerate(LUMA)
    )
    change = red + green + blue
    height, width = (side - shrink + 1 for side in change.shape)
    every = range(shrink)
    change = np.add.reduce([change[row : row + height] for row in every], dtype=change.dtype)
    change = np.add.reduce([change[:, column : column + width] for column in every], dtype=change.dtype)
    cells = [[change[row::shrink, column::shrink] for column in every] for row in every]
    return choose_grid(np.array([[np.square(one, dtype=np.float32).mean() for one in row] for row in cells]))


def margins(grid: Grid, size: Sequence[int], shrink: int) -> tuple[int, int, int, int]:
    """Rows above and below, columns left and right, that fill a picture (height, width) up to whole cells."""
    height, width = size
    above, left = (-first % shrink for first in grid)
    return above, -(height + above) % shrink, left, -(width + left) % shrink
