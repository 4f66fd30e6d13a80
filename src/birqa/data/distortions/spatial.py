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


def moved_patches(image: Image, level: float, rng: np.random.Generator) -> Image:
    """Copy patches to places nearby.

    Level 1 moves patches of 15 x 15 by 2 to 4 pixels until the PSNR is 33 dB; levels 2 to 5 move 85, 190, 235
    and 370 patches of 10 x 10 by 6 to 10 pixels. TID2013 (Ponomarenko et al. 2013), type 14, non-eccentricity
    pattern noise; distances and counts, which go with a picture of 512 x 384, were fitted to the authors'
    per-image values.
    """
    height, width = image.shape[:2]
    side, nearest, farthest = (15, 2.0, 4.0) if level == 1 else (10, 6.0, 10.0)
    # The share of the picture, rather than the count, is kept for other sizes.
    count = 2000 if level == 1 else (85, 190, 235, 370)[round(level) - 2]
    count = max(1, round(count * height * width / (512 * 384)))
    moved = image.copy()
    budget = 10.0**-3.3 * image.size if level == 1 else np.inf
    error = 0.0
    for _ in range(count):
        if error >= budget:
            break
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        distance, angle = rng.uniform(nearest, farthest), rng.uniform(0.0, 2.0 * np.pi)
        to_top = int(np.clip(top + np.rint(distance * np.sin(angle)), 0, height - side))
        to_left = int(np.clip(left + np.rint(distance * np.cos(angle)), 0, width - side))
        place = np.s_[to_top : to_top + side, to_left : to_left + side]
        patch = image[top : top + side, left : left + side]
        change = float(np.sum((patch - image[place]) ** 2) - np.sum((moved[place] - image[place]) ** 2))
        if error + change < 1.1 * budget:
            moved[place] = patch
            error += change
    return moved


def local_blocks(image: Image, level: float, rng: np.random.Generator) -> Image:
    """Cover the picture with 13, 9, 6, 4 or 2 blocks of 32 x 32 pixels, each of one colour.

    The colour lies in a random direction from the picture's mean, 36, 54, 70, 98 or 150 levels (root mean
    square over R, G and B) away from it: fewer blocks are bolder ones. TID2013 (Ponomarenko et al. 2013),
    type 15; counts and distances were fitted to the authors' per-image metric values, and go with 512 x 384
    pixels.
    """
    side = 32
    count, distance = ((13, 36), (9, 54), (6, 70), (4, 98), (2, 150))[round(level) - 1]
    height, width = image.shape[:2]
    count = max(1, round(count * height * width / (512 * 384)))
    mean = image.mean((0, 1), dtype=np.float64)
    covered = image.copy()
    taken = np.zeros((height, width), bool)
    for _ in range(count):
        for _ in range(50):
            top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
            place = np.s_[top : top + side, left : left + side]
            if not taken[place].any():
                break
        taken[place] = True
        covered[place] = _colour_at(mean, distance / 255.0, rng)
    return covered


def _colour_at(mean: NDArray[np.float64], distance: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A colour within the gamut whose root mean square difference from `mean` is as near `distance` as found.

    A far colour needs a corner of the gamut, which a random direction, clipped, mostly misses.
    """
    best, best_error = mean, float("inf")
    for _ in range(40):
        direction = rng.standard_normal(3)
        direction *= distance * np.sqrt(3.0) / np.linalg.norm(direction)
        colour = np.clip(mean + direction, 0.0, 1.0)
        error = abs(float(np.sqrt(np.mean((colour - mean) ** 2))) - distance)
        if error < best_error:
            best, best_error = colour, error
        if best_error < 0.02:
            break
    return best.astype(np.float32)


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
