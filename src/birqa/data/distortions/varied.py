"""Distortions of random strength, for training: what pictures meet in use beyond the rated databases' lists.

Nobody has rated them. Each family names the types of KADID-10k that people judge most alike, so that a label
made by other metrics can be put on the human scale (see `birqa.data.committee`). All choices are ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PillowImage

from birqa.data.distortions import blur, brightness, colour, compression, noise
from birqa.data.distortions._pixels import Image, clip, from_uint8, to_uint8
from birqa.data.distortions.transform import block_means, from_ycbcr, shuffle_detail, to_ycbcr


@dataclass(frozen=True)
class Family:
    """One family; `kin` are numbers of KADID-10k's types, `share` is how often it is drawn unasked."""

    kin: tuple[int, ...]
    share: float
    function: Callable[[Image, np.random.Generator], Image]


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def shaped_noise(image: Image, rng: np.random.Generator) -> Image:
    """Gaussian noise with a power-law spectrum in luma and chroma at random shares, 20 to 42 dB before
    clipping; half of it evenly spread, half of it stronger in texture, in light or in dark parts.
    """
    height, width = image.shape[:2]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]) + 1 / 64
    shape = frequency ** rng.uniform(-1.2, 1.5)
    spectrum = np.fft.rfft2(rng.standard_normal((3, height, width)), axes=(1, 2)) * shape
    grain = np.fft.irfft2(spectrum, (height, width), axes=(1, 2)).transpose(1, 2, 0).astype(np.float32)
    luma_share = rng.choice([0.0, 0.5, 1.0, rng.uniform()], p=[0.1, 0.4, 0.2, 0.3])
    grain = from_ycbcr(grain * np.array([luma_share, 1 - luma_share, 1 - luma_share], np.float32))
    if rng.random() < 0.5:
        luma = to_ycbcr(image)[..., 0]
        # The running sums of the mean filter can end just below zero.
        activity = np.sqrt(np.maximum(cv2.blur(np.square(luma - cv2.blur(luma, (7, 7))), (7, 7)), 0))
        mask = [activity + 0.01, luma + 0.05, 1.05 - luma][rng.integers(3)]
        grain = grain * mask[..., None]
    deviation = 10 ** (-rng.uniform(20, 42) / 20)
    return clip(image + grain * np.float32(deviation / np.sqrt(np.mean(np.square(grain)))))


def impulses(image: Image, rng: np.random.Generator) -> Image:
    """Black and white or random samples, density .001 to .06."""
    function = noise.impulse_noise if rng.random() < 0.5 else noise.uniform_impulses
    return function(image, _log_uniform(rng, 0.001, 0.06), rng)


def block_codec(image: Image, rng: np.random.Generator) -> Image:
    """JPEG (any chroma sampling), WebP or AVIF, from hardly visible to strong."""
    codec = rng.choice(["JPEG", "WEBP", "AVIF"])
    if codec == "JPEG":
        quality = round(100 - _log_uniform(rng, 3, 95))
        return compression.through_codec(image, codec, quality=quality, subsampling=int(rng.integers(3)))
    options = {"speed": 10, "max_threads": 1} if codec == "AVIF" else {}
    return compression.through_codec(image, codec, quality=round(100 - _log_uniform(rng, 4, 98)), **options)


def wavelet_codec(image: Image, rng: np.random.Generator) -> Image:
    """JPEG 2000, compressed 6 to 300 times."""
    return compression.jpeg2000(image, _log_uniform(rng, 6, 300))


def resampled(image: Image, rng: np.random.Generator) -> Image:
    """Made 1.1 to 6 times smaller and enlarged again, by any of the usual filters."""
    height, width = image.shape[:2]
    factor = _log_uniform(rng, 1.1, 6)
    small = (max(8, round(width / factor)), max(8, round(height / factor)))
    down = [cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC][rng.integers(3)]
    up = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4][rng.integers(4)]
    return clip(cv2.resize(cv2.resize(image, small, interpolation=down), (width, height), interpolation=up))


def blurred(image: Image, rng: np.random.Generator) -> Image:
    """Gaussian blur of random axes and angle (standard deviations .3 to 5), or lens blur."""
    if rng.random() < 0.25:
        return blur.lens_blur(image, _log_uniform(rng, 0.7, 6))
    broad = _log_uniform(rng, 0.3, 5)
    narrow = broad * rng.choice([1.0, rng.uniform(0.2, 1.0)])
    angle = rng.uniform(0, np.pi)
    offset = np.arange(-15, 16)
    along = offset * np.cos(angle) + offset[:, None] * np.sin(angle)
    across = offset[:, None] * np.cos(angle) - offset * np.sin(angle)
    kernel = np.exp(-0.5 * (np.square(along / broad) + np.square(across / narrow)))
    return clip(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101))


def sharpened(image: Image, rng: np.random.Generator) -> Image:
    """Unsharp mask on luma, radius .5 to 4, amount .2 to 8."""
    ycbcr = to_ycbcr(image)
    soft = cv2.GaussianBlur(ycbcr[..., 0], (0, 0), rng.uniform(0.5, 4))
    ycbcr[..., 0] += np.float32(_log_uniform(rng, 0.2, 8)) * (ycbcr[..., 0] - soft)
    return clip(from_ycbcr(ycbcr))


def toned(image: Image, rng: np.random.Generator) -> Image:
    """Gamma (.5 to 2), contrast about the mean (.5 to 1.6) or an offset (up to .15): one to three of them."""
    chosen = rng.random(3) < 0.5
    chosen[rng.integers(3)] = True
    out = image
    if chosen[0]:
        out = np.power(out, np.float32(_log_uniform(rng, 0.5, 2)))
    if chosen[1]:
        out = clip(out.mean() + np.float32(rng.uniform(0.5, 1.6)) * (out - out.mean()))
    if chosen[2]:
        out = brightness.mean_shift(out, rng.uniform(-0.15, 0.15))
    return clip(out)


def recoloured(image: Image, rng: np.random.Generator) -> Image:
    """Chroma scaled by 0 to 2.2, or the channels by .8 to 1.2 each."""
    if rng.random() < 0.7:
        return clip(from_ycbcr(to_ycbcr(image) * np.array([1, *[rng.uniform(0, 2.2)] * 2], np.float32)))
    return clip(image * rng.uniform(0.8, 1.2, 3).astype(np.float32))


def misregistered(image: Image, rng: np.random.Generator) -> Image:
    """Red and blue moved by up to three pixels each, the whole then blurred a little or not."""
    out = image.copy()
    height, width = image.shape[:2]
    for channel in (0, 2):
        right, down = rng.normal(0, 1.2, 2).clip(-3, 3)
        move = np.array([[1, 0, right], [0, 1, down]], np.float32)
        out[..., channel] = cv2.warpAffine(
            image[..., channel], move, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
    return clip(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 1)) if rng.random() < 0.5 else out)


def posterised(image: Image, rng: np.random.Generator) -> Image:
    """4 to 40 even levels a channel, or a palette of 3 to 200 colours with or without dither."""
    draw = rng.random()
    if draw < 0.4:
        steps = np.float32(round(_log_uniform(rng, 4, 40)) - 1)
        return np.rint(image * steps) / steps
    colours = round(_log_uniform(rng, 3, 200))
    if draw < 0.7:
        return colour.palette_quantisation(image, colours)
    reduced = PillowImage.fromarray(to_uint8(image)).quantize(colours, dither=PillowImage.Dither.NONE)
    return from_uint8(np.asarray(reduced.convert("RGB")))


def smoothed(image: Image, rng: np.random.Generator) -> Image:
    """A DCT denoiser on the picture, with or without noise before it."""
    sigma = _log_uniform(rng, 0.01, 0.2)
    noisy = noise.white_noise(image, sigma**2, rng) if rng.random() < 0.6 else image
    return noise.dct_denoise(noisy, sigma * rng.uniform(0.6, 1.4))


def misplaced(image: Image, rng: np.random.Generator) -> Image:
    """5 to 300 patches of 8 to 24 pixels copied from up to 12 pixels away."""
    out = image.copy()
    height, width = image.shape[:2]
    for _ in range(round(_log_uniform(rng, 5, 300))):
        side = int(rng.integers(8, 25))
        top, left = rng.integers(0, height - side), rng.integers(0, width - side)
        source_top, source_left = np.clip(
            [top + rng.integers(-12, 13), left + rng.integers(-12, 13)], 0, [height - side, width - side]
        )
        patch = image[source_top : source_top + side, source_left : source_left + side]
        out[top : top + side, left : left + side] = patch
    return out


def damaged(image: Image, rng: np.random.Generator) -> Image:
    """JPEG of which 1 to 60 strips, 8 to 32 pixels high, are concealed or decoded wrongly.

    A strip holds the means of its blocks, its blocks in another order, what stands above it or what stands
    beside it; half of the time its colour is off as well.
    """
    sent = compression.jpeg(image, float(rng.integers(40, 96)))
    out = sent.copy()
    height, width = image.shape[:2]
    off = _log_uniform(rng, 2, 40) / 255
    for _ in range(round(_log_uniform(rng, 1, 60))):
        side = 8 * int(rng.integers(1, 5))
        top = side * int(rng.integers(0, height // side))
        left = 8 * int(rng.integers(0, width // 8))
        length = width if rng.random() < 0.5 else 8 * round(_log_uniform(rng, 1, width // 8))
        right = min(width, left + length)
        strip = sent[top : top + side, left:right]
        kind = rng.integers(4)
        if kind == 0:
            new = block_means(strip)
        elif kind == 1:
            new = shuffle_detail(strip, rng)
        elif kind == 2:
            new = sent[max(0, top - side) : max(0, top - side) + side, left:right]
        else:
            moved = np.arange(left, right) + 8 * int(rng.integers(1, 5)) * int(rng.choice((-1, 1)))
            new = sent[top : top + side, moved.clip(0, width - 1)]
        if rng.random() < 0.5:
            new = new + from_ycbcr(rng.normal(0, off, 3).astype(np.float32))
        out[top : top + side, left:right] = clip(new)
    return out


FAMILIES = {
    "shaped noise": Family((11, 12, 14), 5, shaped_noise),
    "impulses": Family((13,), 1, impulses),
    "block codec": Family((10,), 3, block_codec),
    "wavelet codec": Family((9,), 1, wavelet_codec),
    "resampled": Family((1, 2, 21), 2, resampled),
    "blurred": Family((1, 2, 3), 2, blurred),
    "sharpened": Family((24,), 1, sharpened),
    "toned": Family((16, 17, 18, 25), 3, toned),
    "recoloured": Family((7, 8), 1.5, recoloured),
    "misregistered": Family((5,), 1, misregistered),
    "posterised": Family((6, 22), 1.5, posterised),
    "smoothed": Family((15,), 1.5, smoothed),
    "misplaced": Family((20,), 1, misplaced),
    # Drawn on request only: with a share, all pictures that earlier weights were trained on would be others.
    "damaged": Family((20,), 0, damaged),
}


def draw_family(rng: np.random.Generator, names: Sequence[str] = ()) -> str:
    """One of the named families, evenly, or the name of any by the families' shares."""
    if names:
        return str(rng.choice(list(names)))
    shares = np.array([family.share for family in FAMILIES.values()])
    return str(rng.choice(list(FAMILIES), p=shares / shares.sum()))
