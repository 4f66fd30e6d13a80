"""Distortions of KADID-10k and TID2013, re-made from their published definitions.

Every function takes a float32 RGB image in [0, 1], height x width x 3, and returns a new one; functions with
a random part also take a `numpy.random.Generator`. A level is not always a severity: KADID-10k's types 18 and
25 and TID2013's types 16 and 17 run through signed strengths, and TID2013's type 15 gets milder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from birqa.data.distortions import (
    blur,
    brightness,
    colour,
    compression,
    noise,
    sharpness,
    spatial,
    transmission,
)
from birqa.data.distortions._pixels import Image

LEVELS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Distortion:
    """One type of distortion of a rated database.

    `strengths` holds the argument of `function` for levels 1..5.
    """

    database: str
    number: int
    name: str
    strengths: tuple[float, float, float, float, float]
    function: Callable[[Image, float, np.random.Generator], Image]

    def apply(self, image: Image, level: int, rng: np.random.Generator) -> Image:
        """Return the image distorted at `level` (1..5); the input is left as it is."""
        if level not in LEVELS:
            raise ValueError(f"{self.database} levels run from 1 to 5, got {level}")
        if image.dtype != np.float32 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"expected a float32 RGB image of shape height x width x 3, got {image.dtype} {image.shape}"
            )
        return self.function(image, self.strengths[level - 1], rng)


def _still(
    function: Callable[[Image, float], Image],
) -> Callable[[Image, float, np.random.Generator], Image]:
    """Give a function without a random part the signature of those that have one."""
    return lambda image, strength, rng: function(image, strength)


def _registry(database: str, *rows: tuple) -> dict[int, Distortion]:
    return {number: Distortion(database, number, *rest) for number, *rest in rows}


KADID10K: dict[int, Distortion] = _registry(
    "KADID-10k",
    (1, "Gaussian blur", (0.1, 0.5, 1, 2, 5), _still(blur.gaussian_blur)),
    (2, "lens blur", (1, 2, 4, 6, 8), _still(blur.lens_blur)),
    (3, "motion blur", (1, 2, 4, 6, 10), blur.motion_blur),
    (4, "colour diffusion", (1, 3, 6, 8, 12), _still(colour.colour_diffusion)),
    (5, "colour shift", (1, 3, 6, 8, 12), colour.colour_shift),
    (6, "colour quantisation", (64, 48, 32, 16, 8), _still(colour.palette_quantisation)),
    (7, "saturation 1", (0.4, 0.2, 0.1, 0, -0.4), _still(colour.saturation_hsv)),
    (8, "saturation 2", (1, 2, 3, 6, 9), _still(colour.saturation_lab)),
    (9, "JPEG 2000", (16, 32, 45, 120, 400), _still(compression.jpeg2000)),
    (10, "JPEG", (43, 36, 24, 7, 4), _still(compression.jpeg)),
    (11, "white noise", (0.001, 0.002, 0.003, 0.005, 0.01), noise.white_noise),
    (12, "noise in colour components", (0.0001, 0.0005, 0.001, 0.002, 0.003), noise.ycbcr_noise),
    (13, "impulse noise", (0.001, 0.005, 0.01, 0.02, 0.03), noise.impulse_noise),
    (14, "multiplicative noise", (0.001, 0.005, 0.01, 0.02, 0.05), noise.multiplicative_noise),
    (15, "denoise", (0.01, 0.03, 0.05, 0.1, 0.15), noise.denoised),
    (16, "brighten", (0.1, 0.2, 0.4, 0.7, 1.1), _still(brightness.brighten)),
    (17, "darken", (0.05, 0.1, 0.2, 0.4, 0.8), _still(brightness.darken)),
    (18, "mean shift", (0.15, 0.08, 0, -0.08, -0.15), _still(brightness.mean_shift)),
    (19, "jitter", (0.05, 0.1, 0.2, 0.5, 1), spatial.jitter),
    (20, "non-eccentricity patch", (20, 40, 60, 80, 100), spatial.non_eccentricity_patch),
    (21, "pixelate", (0.01, 0.05, 0.1, 0.2, 0.5), _still(spatial.pixelate)),
    (22, "quantisation", (20, 16, 13, 10, 7), _still(spatial.threshold_quantisation)),
    (23, "colour blocks", (2, 4, 6, 8, 10), spatial.colour_blocks),
    (24, "high sharpen", (1, 2, 3, 6, 12), _still(sharpness.high_sharpen)),
    (25, "contrast change", (0.3, 0.15, 0, -0.4, -0.6), _still(sharpness.contrast_curve)),
)
"""All 25 types of KADID-10k (Lin et al. 2019)."""

_VARIANCES = tuple(variance / 255.0**2 for variance in (32, 64, 130, 260, 522))
_PSNR_TARGETS = (33, 30, 27, 24, 21)

_DENOISED = tuple(deviation / 255.0 for deviation in (8, 12, 22, 42, 87))

TID2013: dict[int, Distortion] = _registry(
    "TID2013",
    (1, "additive noise", _VARIANCES, noise.white_noise),
    (2, "noise stronger in colour", LEVELS, noise.colour_weighted_noise),
    (3, "spatially correlated noise", _VARIANCES, noise.correlated_noise),
    (4, "masked noise", _PSNR_TARGETS, noise.masked_noise),
    (5, "high-frequency noise", (33, 30, 25, 20, 15), noise.high_frequency_noise),
    (6, "impulse noise", (0.004, 0.0085, 0.017, 0.034, 0.068), noise.uniform_impulses),
    (7, "quantisation", _PSNR_TARGETS, _still(spatial.uniform_quantisation)),
    (8, "Gaussian blur", (0.5, 0.65, 1, 1.7, 4), _still(blur.gaussian_blur_11)),
    (9, "denoising", _DENOISED, noise.denoised_shifted),
    (10, "JPEG", (80, 60, 23, 8, 4), _still(compression.jpeg)),
    (11, "JPEG 2000", _PSNR_TARGETS, _still(compression.jpeg2000_psnr)),
    (12, "JPEG transmission errors", _PSNR_TARGETS, transmission.jpeg_transmission),
    (13, "JPEG 2000 transmission errors", _PSNR_TARGETS, transmission.jpeg2000_transmission),
    (14, "non-eccentricity pattern", LEVELS, spatial.moved_patches),
    (15, "local blocks", LEVELS, spatial.local_blocks),
    (16, "mean shift", tuple(s / 255.0 for s in (-6, 10, -20, 30, -40)), _still(brightness.mean_shift)),
    (17, "contrast", (0.9, 1.2, 0.75, 1.45, 0.5), _still(sharpness.contrast_about_mean)),
    (18, "saturation", _PSNR_TARGETS, _still(colour.saturation_psnr)),
    (19, "multiplicative noise", _PSNR_TARGETS, noise.multiplicative_noise_psnr),
    (20, "comfort noise", _PSNR_TARGETS, compression.comfort_noise),
    (21, "compressed noisy picture", _PSNR_TARGETS, compression.compressed_noisy),
    (22, "palette with dither", _PSNR_TARGETS, _still(colour.palette_psnr)),
    (23, "chromatic aberration", (33, 28, 25, 23, 21), _still(colour.chromatic_aberration)),
    (24, "sparse sampling", _PSNR_TARGETS, _still(compression.sparse_sampling)),
)
"""All 24 types of TID2013 (Ponomarenko et al. 2013), re-made to match the authors' own metric values."""

TID2013_EXACT: dict[int, Distortion] = {
    number: TID2013[number] for number in (1, 2, 3, 5, 7, 8, 10, 16, 17, 19)
}
"""The ten types of TID2013 that can be re-made almost exactly."""
