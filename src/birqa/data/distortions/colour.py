"""Colour: diffusion, shift, palette and saturation."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from birqa.data.distortions._pixels import Image, clip, from_lab, from_uint8, psnr, to_lab, to_uint8
from birqa.data.distortions.transform import RGB_TO_YCBCR, reach_psnr_log


def colour_diffusion(image: Image, amount: float) -> Image:
    """Blur the Lab channels a and b with sigma = 1.5 amount + 2, then multiply them by `amount`.

    KADID-10k (Lin et al. 2019): amount 1, 3, 6, 8, 12.
    """
    lab = to_lab(image)
    sigma = 1.5 * amount + 2.0
    size = 2 * int(np.ceil(2 * sigma)) + 1
    lab[..., 1:] = amount * cv2.GaussianBlur(
        lab[..., 1:], (size, size), sigma, borderType=cv2.BORDER_REPLICATE
    )
    return from_lab(lab)


def colour_shift(image: Image, amount: float, rng: np.random.Generator) -> Image:
    """Move green by `amount` pixels where the picture has edges.

    G' = e G_moved + (1 - e) G with e the gradient magnitude of the luma, blurred (sigma 4), scaled to 0..1,
    floored at .1 and stretched between its 1st and 99th percentiles. The direction is random within the
    quadrant right and down, rounded to whole pixels.
    KADID-10k (Lin et al. 2019): amount 1, 3, 6, 8, 12.
    """
    edges = cv2.GaussianBlur(_gradient_magnitude(image), (17, 17), 4.0, borderType=cv2.BORDER_REPLICATE)
    blend = np.clip(_stretch(edges, float(edges.min()), float(edges.max())), 0.1, 1.0)
    low, high = np.percentile(blend, (1.0, 99.0))
    blend = _stretch(blend, float(low), float(high))

    direction = rng.random(2)
    down, right = np.rint(direction / np.linalg.norm(direction) * amount).astype(int)
    rows = np.maximum(np.arange(image.shape[0]) - down, 0)
    columns = np.maximum(np.arange(image.shape[1]) - right, 0)
    green = image[..., 1]
    shifted = image.copy()
    shifted[..., 1] = blend * green[np.ix_(rows, columns)] + (1.0 - blend) * green
    return clip(shifted)


def palette_quantisation(image: Image, colours: float) -> Image:
    """Reduce to a palette of `colours` colours with Floyd-Steinberg dither.

    KADID-10k (Lin et al. 2019): 64, 48, 32, 16, 8 colours by MATLAB's `rgb2ind`, whose palette is one of
    minimum variance and whose dither is on unless switched off.
    """
    samples = to_uint8(image)
    # Pillow dithers only towards a palette that is handed to it, and pads a short one with black.
    palette = minimum_variance_palette(samples, round(colours))
    padding = np.repeat(palette[:1], 256 - len(palette), axis=0)
    carrier = PillowImage.new("P", (1, 1))
    carrier.putpalette(np.concatenate([palette, padding]).tobytes())
    indexed = PillowImage.fromarray(samples).quantize(
        palette=carrier, dither=PillowImage.Dither.FLOYDSTEINBERG
    )
    return from_uint8(np.asarray(indexed.convert("RGB")))


def palette_psnr(image: Image, target: float) -> Image:
    """`palette_quantisation` with the number of colours, 2 to 256, whose PSNR is nearest to `target` dB.

    TID2013 (Ponomarenko et al. 2013), type 22: 33, 30, 27, 24, 21 dB. The palette is our default.
    """
    fewest, most = 2, 256
    best, best_error = image, float("inf")
    while fewest <= most:
        count = int(np.sqrt(fewest * most))
        candidate = palette_quantisation(image, count)
        reached = psnr(image, candidate)
        if abs(reached - target) < best_error:
            best, best_error = candidate, abs(reached - target)
        fewest, most = (fewest, count - 1) if reached > target else (count + 1, most)
    return best


def minimum_variance_palette(samples: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """At most `count` colours: the colour cube is cut until it has that many boxes, each stands for its mean.

    The box that varies most along one axis is cut next, across that axis, where the variance left within the
    two parts is least. Our default is to count colours in 32 x 32 x 32 bins first.
    """
    flat = samples.reshape(-1, 3)
    bins = (flat >> 3).astype(np.int64) @ np.array([1024, 32, 1])
    weight = np.bincount(bins, minlength=32768)
    used = np.flatnonzero(weight)
    weight = weight[used].astype(np.float64)
    sums = np.stack([np.bincount(bins, flat[:, axis], 32768)[used] for axis in range(3)], axis=1)
    colours = sums / weight[:, None]

    boxes = [np.arange(len(used))]
    spreads = [_spread(colours, weight)]
    while len(boxes) < count:
        widest = int(np.argmax([spread.max() for spread in spreads]))
        if spreads[widest].max() <= 0.0:
            break
        axis = int(spreads[widest].argmax())
        box = boxes[widest]
        box = box[np.argsort(colours[box, axis], kind="stable")]
        mass, moment = np.cumsum(weight[box]), np.cumsum(weight[box] * colours[box, axis])
        left, right = mass[:-1], mass[-1] - mass[:-1]
        cut = 1 + int(np.argmax(moment[:-1] ** 2 / left + (moment[-1] - moment[:-1]) ** 2 / right))
        parts = box[:cut], box[cut:]
        boxes[widest : widest + 1] = parts
        spreads[widest : widest + 1] = [_spread(colours[part], weight[part]) for part in parts]
    means = [np.average(colours[box], axis=0, weights=weight[box]) for box in boxes]
    return np.rint(means).astype(np.uint8)


def _spread(colours: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    """Sum of squared deviations from the mean colour along each axis."""
    mean = np.average(colours, axis=0, weights=weight)
    return weight @ (colours - mean) ** 2


def saturation_hsv(image: Image, factor: float) -> Image:
    """Multiply the HSV saturation by `factor`; with a negative factor colours turn to their complements.

    With hue and value kept, V - RGB is proportional to S, hence RGB' = V - factor (V - RGB).
    KADID-10k (Lin et al. 2019), saturation 1: factor .4, .2, .1, 0, -.4. Clipping what the
    negative factor takes out of [0, 1] is our default.
    """
    value = image.max(axis=2, keepdims=True)
    return clip(value - np.float32(factor) * (value - image))


def saturation_psnr(image: Image, target: float) -> Image:
    """Y + (1 - c) (RGB - Y) with the c in 0..2 whose PSNR is nearest to `target` dB.

    Above 1, colours turn to their complements. TID2013 (Ponomarenko et al. 2013), type 18: 33, 30, 27, 24,
    21 dB.
    """
    luma = (image @ RGB_TO_YCBCR[0])[..., None]
    return reach_psnr_log(
        image, lambda amount: clip(luma + np.float32(1.0 - amount) * (image - luma)), target, 1e-3, 2.0
    )


def chromatic_aberration(image: Image, target: float) -> Image:
    """Move red right and blue down until the PSNR is nearest to `target` dB, edges replicated.

    Up to 1.9 pixels, equally far; where that is too little, blue moves twice as far as red and everything is
    also blurred, sigma .3 + .35 of red's way. TID2013 (Ponomarenko et al. 2013), type 23: 33, 28, 25, 23, 21
    dB. Both stages were fitted to the authors' per-image metric values.
    """
    most = 1.9
    if psnr(image, _aberrate(image, most, most, 0.0)) <= target:
        return reach_psnr_log(image, lambda by: _aberrate(image, by, by, 0.0), target, 0.01, most)
    return reach_psnr_log(
        image, lambda by: _aberrate(image, by, 2.0 * by, 0.3 + 0.35 * by), target, 0.25, 64.0
    )


def _aberrate(image: Image, right: float, down: float, sigma: float) -> Image:
    height, width = image.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = image.copy()
    for channel, x, y in ((0, right, 0.0), (2, 0.0, down)):
        moved[..., channel] = cv2.remap(
            image[..., channel], columns - x, rows - y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    if sigma > 0.0:
        moved = np.asarray(
            cv2.GaussianBlur(moved, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32
        )
    return clip(moved)


def saturation_lab(image: Image, factor: float) -> Image:
    """Multiply the Lab channels a and b by `factor`.

    KADID-10k (Lin et al. 2019), saturation 2: factor 1, 2, 3, 6, 9; factor 1 changes nothing.
    """
    lab = to_lab(image)
    lab[..., 1:] *= factor
    return from_lab(lab)


def _gradient_magnitude(image: Image) -> Image:
    luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)
    down, right = np.gradient(luma)
    return np.hypot(down, right)


def _stretch(values: NDArray[Any], low: float, high: float) -> Image:
    if high <= low:
        return np.zeros_like(values)
    return clip((values - low) / (high - low))
