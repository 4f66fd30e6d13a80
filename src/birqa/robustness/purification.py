"""Purification: a transform of both pictures before a metric sees them, which may wash an attack away.

What the papers compare training against (BiRQA, Table 9). The reference gets the same transform as the
distorted picture. Random transforms are drawn from the distorted picture's samples: a file has one score,
and an attacker who changes it meets another draw at every step.
"""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import radians
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from birqa.attacks.base import Metric, generators
from birqa.attacks.subjects import Subject
from birqa.blind.denoiser import Denoiser
from birqa.certify.denoising import DENOISER
from birqa.engines.torch import load_single, run_single
from birqa.registry import find_model

PURIFYING_NOISE = 0.1
Purifier = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(dist, ref), (N, 3, H, W) in [0, 1] -> the same two, purified; gradients flow."""


def flip(dist: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """Left to right, for half of the pictures."""
    turned = torch.tensor([bool(torch.rand((), generator=one) < 0.5) for one in generators(dist, 0)])
    chosen = turned.to(dist.device)[:, None, None, None]
    first, second = (torch.where(chosen, x.flip(-1), x) for x in (dist, ref))
    return first, second


def rotate(dist: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """By an angle in -15 .. 15 degrees, bilinear, edges mirrored."""
    drawn = [2 * torch.rand((), generator=one) - 1 for one in generators(dist, 1)]
    angles = radians(15) * torch.stack(drawn).to(dist)
    height, width = dist.shape[-2:]
    sine, cosine, none = angles.sin(), angles.cos(), torch.zeros_like(angles)
    rows = [
        torch.stack([cosine, -sine * height / width, none], 1),
        torch.stack([sine * width / height, cosine, none], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(dist.shape), align_corners=False)
    first, second = (
        F.grid_sample(x, grid, padding_mode="reflection", align_corners=False) for x in (dist, ref)
    )
    return first, second


def resize(dist: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """To half the size, antialiased."""
    first, second = (
        F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True).clamp(0, 1) for x in (dist, ref)
    )
    return first, second


def crop(dist: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """To a window of 7/8 of each side."""
    height, width = (side * 7 // 8 for side in dist.shape[-2:])
    windows = []
    for one, other, generator in zip(dist, ref, generators(dist, 2), strict=True):
        top = int(torch.randint(dist.shape[-2] - height + 1, (), generator=generator))
        left = int(torch.randint(dist.shape[-1] - width + 1, (), generator=generator))
        window = (slice(None), slice(top, top + height), slice(left, left + width))
        windows.append((one[window], other[window]))
    first, second = (torch.stack(list(column)) for column in zip(*windows, strict=True))
    return first, second


def jpeg(dist: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """Quality 50; its gradient is that of no change at all, as attackers take it."""
    first, second = (x + (_through_jpeg(x) - x).detach() for x in (dist, ref))
    return first, second


def _through_jpeg(pictures: Tensor) -> Tensor:
    decoded = []
    for picture in pictures.detach():
        levels = torch.round(picture * 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        file = io.BytesIO()
        Image.fromarray(levels).save(file, "JPEG", quality=50)
        decoded.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1))
    return torch.stack(decoded).to(pictures) / 255


def blur(dist: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """Binomial, 3x3."""
    weights = torch.tensor([1.0, 2, 1]).to(dist) / 4
    kernel = (weights[:, None] * weights)[None, None].expand(3, 1, 3, 3)
    first, second = (
        F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=3) for x in (dist, ref)
    )
    return first, second


def denoise(dist: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """The same noise on both, of deviation 0.1, taken off by `denoiser.blind`. It stands in for DiffPure, a
    diffusion model; ours is a small U-Net."""
    drawn = [torch.randn(dist.shape[1:], generator=one) for one in generators(dist, 3)]
    noise = PURIFYING_NOISE * torch.stack(drawn).to(dist)
    denoiser = _denoiser(str(dist.device))
    return run_single(denoiser, dist + noise), run_single(denoiser, ref + noise)


@cache
def _denoiser(device: str) -> Denoiser:
    return cast(Denoiser, load_single(find_model(DENOISER, "denoiser"), device))


PURIFIERS: dict[str, Purifier] = {
    "flip": flip,
    "rotate": rotate,
    "resize": resize,
    "crop": crop,
    "jpeg": jpeg,
    "blur": blur,
    "denoise": denoise,
}


RANDOM = ("flip", "rotate", "crop", "denoise")


def purified(subject: Subject, name: str) -> Subject:
    """`subject` behind a purifier. An attacker may know it and go through it, or know only the bare metric.

    Raises ValueError for a purifier that is not known.
    """
    if name not in PURIFIERS:
        raise ValueError(f"there is no purifier {name!r}; choose from {', '.join(PURIFIERS)}.")
    purifier = PURIFIERS[name]

    def behind(metric: Metric) -> Metric:
        return lambda dist, ref: metric(*purifier(dist, ref))

    version, content = subject.version, subject.content
    if purifier is denoise:
        # Behind another denoiser the scores are others.
        denoiser = find_model(DENOISER, "denoiser")
        version += f", {denoiser.name} {denoiser.version}"
        content = f"{content} {denoiser.digest[:12]}".strip()
    forms = {form: behind(metric) for form, metric in subject.surrogates.items()}
    bare = {f"bare {form}": metric for form, metric in subject.surrogates.items()}
    return replace(
        subject,
        name=f"{subject.name} + {name}",
        version=version,
        content=content,
        metric=behind(subject.metric),
        surrogates=forms | bare,
        drawn=" and ".join(filter(None, (subject.drawn, name if name in RANDOM else ""))),
    )
