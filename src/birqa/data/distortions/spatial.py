"""Changes of place and of grey levels: jitter, patches, pixelation, quantisation and colour blocks."""

from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from birqa.data.distortions._pixels import Image, clip, reach_psnr, to_uint8


def jitter(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Fetch every pixel from N(0, sigma) pixels away in both directions, bilinear, five times in a row.

    KADID-10k (Lin et al. 2019): sigma .05, .1, .2, .5, 1.
    """
    height, width = image.shape[:2]
    rows, columns = np.indices((height, width), dtype=np.float32)
    warped = image
    for _ in range(5):
        offset = rng.standard_normal((2, height, width), dtype=np.float32) * np.float32(sigma)
        warped = clip(
            cv2.remap(
                warped,
                columns + offset[0],
                rows + offset[1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )
    return warped


def non_eccentricity_patch(image: Image, count: float, rng: np.random.Generator) -> Image:
    """Copy `count` patches of 16 x 16 pixels, one after the other, to places at most 8 pixels away.

    KADID-10k (Lin et al. 2019): 20, 40, 60, 80, 100 patches.
    """
    side, reach = 16, 8
    height, width = image.shape[:2]
    patched = image.copy()
    for _ in range(round(count)):
        top, left = _place(height, side, rng), _place(width, side, rng)
        moved = rng.integers(-reach, reach + 1, 2)
        to_top = int(np.clip(top + moved[0], 0, max(0, height - side)))
        to_left = int(np.clip(left + moved[1], 0, max(0, width - side)))
        patch = patched[top : top + side, left : left + side].copy()
        patched[to_top : to_top + side, to_left : to_left + side] = patch
    return patched


def pixelate(image: Image, amount: float) -> Image:
    """Shrink by .95 - amount^.6 and enlarge again, nearest neighbour both times.

    KADID-10k (Lin et al. 2019): amount .01, .05, .1, .2, .5.
    """
    height, width = image.shape[:2]
    scale = 0.95 - amount**0.6
    small = cv2.resize(
        image, (ceil(scale * width), ceil(scale * height)), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))


def threshold_quantisation(image: Image, thresholds: float) -> Image:
    """Quantise with the `thresholds` Otsu thresholds of the histogram of all three channels.

    Samples up to the first threshold become 0, those above the last 1, the others the threshold above them.
    KADID-10k (Lin et al. 2019): 20, 16, 13, 10, 7 thresholds.
    """
    samples = to_uint8(image)
    cuts = otsu_thresholds(np.bincount(samples.ravel(), minlength=256), round(thresholds))
    values = np.concatenate([[0.0], cuts[1:] / 255.0, [1.0]]).astype(np.float32)
    table = values[np.searchsorted(cuts, np.arange(256), side="left")]
    return table[samples]


def otsu_thresholds(histogram: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Thresholds that split a histogram into `count` + 1 classes of least variance within.

    Exact, by dynamic programming over the bins. A bin equal to a threshold belongs to the class below it.
    """
    bins = len(histogram)
    weight = np.concatenate([[0.0], np.cumsum(histogram, dtype=np.float64)])
    moment = np.concatenate([[0.0], np.cumsum(histogram * np.arange(bins), dtype=np.float64)])
    mass = weight[None, :] - weight[:, None]
    gain = (moment[None, :] - moment[:, None]) ** 2 / np.where(mass > 0.0, mass, 1.0)
    gain[np.tril_indices(bins + 1)] = -np.inf
    best = gain[0]
    starts = []
    for _ in range(count):
        options = best[:, None] + gain
        starts.append(options.argmax(axis=0))
        best = options.max(axis=0)
    cuts = []
    end = bins
    for start in reversed(starts):
        end = int(start[end])
        cuts.append(end - 1)
    return np.array(cuts[::-1], np.int64)


def uniform_quantisation(image: Image, target: float) -> Image:
    """round(x / D) D in every channel, the step D such that the PSNR is nearest to `target` dB.

    TID2013 (Ponomarenko et al. 2013), type 7: 33, 30, 27, 24, 21 dB.
    """
    return reach_psnr(
        image, lambda step: clip(np.rint(image / np.float32(step)) * np.float32(step)), target, largest=1.0
    )


def colour_blocks(image: Image, count: float, rng: np.random.Generator) -> Image:
    """Cover the picture with `count` blocks of 32 x 32 pixels, each of one random colour.

    KADID-10k (Lin et al. 2019): 2, 4, 6, 8, 10 blocks.
    """
    side = 32
    covered = image.copy()
    for _ in range(round(count)):
        top = int(rng.integers(0, max(1, image.shape[0] - side + 1)))
        left = int(rng.integers(0, max(1, image.shape[1] - side + 1)))
        covered[top : top + side, left : left + side] = rng.random(3, dtype=np.float32)
    return covered


def _place(length: int, side: int, rng: np.random.Generator) -> int:
    # KADID keeps one patch width clear of the border; a small picture has no room for that.
    margin = min(side, max(0, (length - side) // 2))
    return int(rng.integers(margin, max(margin, length - side - margin) + 1))
