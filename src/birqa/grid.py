"""Which grid of cells a pair is averaged on, for metrics that see the means of cells. Free of torch.

Means over cells of `shrink` x `shrink` pixels hide what cancels inside a cell. A picture that was made on
such a grid itself, as by halving and doubling its size, may differ from its reference inside the cells only,
and would pass for flawless where the grids fall together. So each pair is scored on the grid that begins at
its corner, unless on another one the cells differ much more: then on the one where they differ most. The rule
is ours. What cancels inside the cells of every grid, such as a checkerboard of single pixels, stays unseen.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from birqa.images import to_float

LUMA = (5, 9, 2)
"""Sixteenths of red, green and blue: near BT.601's luma, in small whole numbers. Colours that a codec has
averaged over 2x2 pixels must not count."""
MUCH_MORE = 1.7
"""Times the mean squared difference on the corner's grid: above what codecs make of it, below what halving
and doubling by nearest neighbour, bicubic or Lanczos does."""
ALIKE = 1e-4
"""Grids whose differences differ by less, relatively, are alike, whatever an engine's rounding: the first
counts."""
LOOKED_AT = 2**19
"""Pixels of which no band is left out; of larger pictures about as many are looked at, in bands."""
BAND = 16
"""Rows of cells in a band."""

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
    sums, counts = np.zeros((shrink, shrink)), np.zeros((shrink, shrink))
    for band in bands(dist.shape[:2], shrink):
        cells = _sums(_sums(_luma_change(dist[band], ref[band]), shrink).T, shrink).T
        squares = np.square(cells, out=cells)
        for row in range(shrink):
            columns = squares[row::shrink].sum(0)
            for column in range(shrink):
                sums[row, column] += columns[column::shrink].sum()
                counts[row, column] += squares[row::shrink, column::shrink].size
    return choose_grid(sums / counts)


def bands(size: Sequence[int], shrink: int) -> list[slice]:
    """The rows that are looked at, each band a multiple of `shrink` from the top."""
    height, width = size
    if height * width <= LOOKED_AT:
        return [slice(0, height)]
    rows = BAND * shrink
    every = rows * -(-height * width // LOOKED_AT)
    return [slice(top, top + rows) for top in range(0, height - rows + 1, every)] or [slice(0, rows)]


def _luma_change(dist: np.ndarray, ref: np.ndarray) -> NDArray[np.float32]:
    """In sixteenths."""
    if dist.dtype == ref.dtype == np.uint8:
        change = np.subtract(dist, ref, dtype=np.int16).astype(np.float32)
    else:
        change = to_float(dist) - to_float(ref)
    # As one product: NumPy is slower channel by channel.
    luma: NDArray[np.float32] = change @ np.array(LUMA, np.float32)
    return luma


def _sums(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Of each `count` neighbouring rows."""
    last = len(rows) - count + 1
    total = rows[:last] + rows[1 : last + 1]
    for row in range(2, count):
        total += rows[row : row + last]
    return total


def margins(grid: Grid, size: Sequence[int], shrink: int) -> tuple[int, int, int, int]:
    """Rows above and below, columns left and right, that fill a picture (height, width) up to whole cells."""
    height, width = size
    above, left = (-first % shrink for first in grid)
    return above, -(height + above) % shrink, left, -(width + left) % shrink
