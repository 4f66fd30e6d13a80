"""Block transforms, and the search for the strength that gives a wanted error."""

from collections.abc import Callable, Sequence
from math import exp, log

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from birqa.data.distortions._pixels import Image, reach_psnr

Blocks = NDArray[np.float32]
"""Block rows x block columns x channels x side x side."""

RGB_TO_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
"""BT.601, full range, chroma about zero."""
YCBCR_TO_RGB = np.linalg.inv(RGB_TO_YCBCR).astype(np.float32)


def to_ycbcr(image: Image) -> Image:
    """RGB to luma and chroma, the latter about zero."""
    return image @ RGB_TO_YCBCR.T


def from_ycbcr(image: Image) -> Image:
    """Inverse of `to_ycbcr`, not clipped."""
    return image @ YCBCR_TO_RGB.T


def to_blocks(image: Image, side: int) -> Blocks:
    """Cut into square blocks; the picture is mirrored down and right to whole blocks."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % side), (0, -width % side), (0, 0)), mode="symmetric")
    rows, columns = padded.shape[0] // side, padded.shape[1] // side
    return padded.reshape(rows, side, columns, side, -1).transpose(0, 2, 4, 1, 3)


def from_blocks(blocks: Blocks, height: int, width: int) -> Image:
    """Inverse of `to_blocks` for a picture of the given size."""
    rows, columns, channels, side, _ = blocks.shape
    joined = blocks.transpose(0, 3, 1, 4, 2).reshape(rows * side, columns * side, channels)
    return joined[:height, :width]


def block_means(image: Image) -> Image:
    """Every 8 x 8 block filled with its mean."""
    blocks = to_blocks(image, 8)
    means = np.broadcast_to(blocks.mean((-2, -1), keepdims=True), blocks.shape)
    return from_blocks(means, *image.shape[:2])


def shuffle_detail(image: Image, rng: np.random.Generator) -> Image:
    """Every 8 x 8 block keeps its mean but has the detail of another; all rows are shuffled alike."""
    blocks = to_blocks(image, 8)
    detail = from_blocks(blocks[:, rng.permutation(blocks.shape[1])], *image.shape[:2])
    return block_means(image) + detail - block_means(detail)


def forward_dct(blocks: Blocks) -> Blocks:
    """Orthonormal two-dimensional DCT of every block."""
    return np.asarray(dctn(blocks, axes=(-2, -1), norm="ortho"), np.float32)


def inverse_dct(blocks: Blocks) -> Blocks:
    """Inverse of `forward_dct`."""
    return np.asarray(idctn(blocks, axes=(-2, -1), norm="ortho"), np.float32)


def frequencies(side: int) -> NDArray[np.float32]:
    """Distance of each coefficient of a block from the mean, in half periods a block."""
    return np.hypot(*np.indices((side, side))).astype(np.float32)


class ShiftedDCT:
    """A picture's block DCT on several grids at once; `threshold` is the mean of the inverses.

    The transforms are made once, so that many thresholds can be tried.
    """

    def __init__(self, image: Image, side: int, shifts: Sequence[tuple[int, int]]) -> None:
        height, width = image.shape[:2]
        self._size, self._side = (height, width), side
        padded = np.pad(image, ((side, side), (side, side), (0, 0)), mode="symmetric")
        self._grids = [(top, left, forward_dct(to_blocks(padded[top:, left:], side))) for top, left in shifts]

    def threshold(self, limits: NDArray[np.float32]) -> Image:
        """Set coefficients below their channel's limit to zero; block means are kept."""
        height, width = self._size
        total = np.zeros((height, width, len(limits)), np.float32)
        for top, left, coefficients in self._grids:
            keep = np.abs(coefficients) >= limits[:, None, None]
            keep[..., 0, 0] = True
            smooth = inverse_dct(np.where(keep, coefficients, np.float32(0.0)))
            down, right = self._side - top, self._side - left
            total += from_blocks(smooth, down + height, right + width)[down:, right:]
        return total / np.float32(len(self._grids))


def reach_psnr_log(
    image: Image,
    distort: Callable[[float], Image],
    target: float,
    lowest: float,
    highest: float,
    tolerance: float = 0.02,
    attempts: int = 14,
) -> Image:
    """Distort with the strength in [lowest, highest] whose PSNR is nearest to `target`.

    Like `reach_psnr`, for strengths that span orders of magnitude: bisection on their logarithm. A picture
    that cannot be brought to the target costs `attempts` trials and gives the nearest of them.
    """
    return reach_psnr(
        image,
        lambda logarithm: distort(exp(logarithm)),
        target,
        log(highest),
        smallest=log(lowest),
        tolerance=tolerance,
        attempts=attempts,
    )
