"""Purification: a transform of both pictures before a metric sees them, which may wash an attack away.

What the papers compare training against (BiRQA, Table 9). The reference gets the same transform as the
distorted picture. Random transforms are drawn from the distorted picture's samples: a file has one score,
and an attacker who changes it meets another draw at every step. Attackers who know follow the mean of several
draws (Athalye et al. 2018, "Obfuscated gradients give a false sense of security").
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import radians
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from birqa.attacks.base import Metric, generators
from birqa.attacks.subjects import Subject
from birqa.blind.denoiser import Denoiser
from birqa.certify.denoising import DENOISER
from birqa.codecs import through_codec
from birqa.engines.torch import load_single, run_single
from birqa.registry import find_model

PURIFYING_NOISE = 0.1
DRAWS = 4
"""Of a random purifier that attackers average over at every step, each step's anew."""
Purifier = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(dist, ref), (N, 3, H, W) in [0, 1] -> the same two, purified; gradients flow."""
RandomPurifier = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""The same by one of its draws; scores are those of draw 0."""


def flip(dist: Tensor, ref: Tensor, draw: int = 0) -> tuple[Tensor, Tensor]:
    """Left to right, for half of the pictures."""
    turned = torch.tensor([bool(torch.rand((), generator=one) < 0.5) for one in _drawn(dist, 0, draw)])
    chosen = turned.to(dist.device)[:, None, None, None]
    first, second = (torch.where(chosen, x.flip(-1), x) for x in (dist, ref))
    return first, second


def rotate(dist: Tensor, ref: Tensor, draw: int = 0) -> tuple[Tensor, Tensor]:
    """By an angle in -15 .. 15 degrees, bilinear, edges mirrored."""
    drawn = [2 * torch.rand((), generator=one) - 1 for one in _drawn(dist, 1, draw)]
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


def crop(dist: Tensor, ref: Tensor, draw: int = 0) -> tuple[Tensor, Tensor]:
    """To a window of 7/8 of each side."""
    height, width = (side * 7 // 8 for side in dist.shape[-2:])
    windows = []
    for one, other, generator in zip(dist, ref, _drawn(dist, 2, draw), strict=True):
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
        decoded.append(torch.from_numpy(through_codec(levels, "JPEG", quality=50)).permute(2, 0, 1))
    return torch.stack(decoded).to(pictures) / 255


def blur(dist: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """Binomial, 3x3."""
    weights = torch.tensor([1.0, 2, 1]).to(dist) / 4
    kernel = (weights[:, None] * weights)[None, None].expand(3, 1, 3, 3)
    first, second = (
        F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=3) for x in (dist, ref)
    )
    return first, second


def denoise(dist: Tensor, ref: Tensor, draw: int = 0) -> tuple[Tensor, Tensor]:
    """The same noise on both, of deviation 0.1, taken off by `denoiser.blind`. It stands in for DiffPure, a
    diffusion model; ours is a small U-Net."""
    drawn = [torch.randn(dist.shape[1:], generator=one) for one in _drawn(dist, 3, draw)]
    noise = PURIFYING_NOISE * torch.stack(drawn).to(dist)
    denoiser = _denoiser(str(dist.device))
    return run_single(denoiser, dist + noise), run_single(denoiser, ref + noise)


@cache
def _denoiser(device: str) -> Denoiser:
    return cast(Denoiser, load_single(find_model(DENOISER, "denoiser"), device))


def _drawn(dist: Tensor, kind: int, draw: int) -> list[torch.Generator]:
    """A generator for each picture, for that kind of purifier and that of its draws."""
    return generators(dist, kind + 16 * draw)


RANDOM: dict[str, RandomPurifier] = {"flip": flip, "rotate": rotate, "crop": crop, "denoise": denoise}
PURIFIERS: dict[str, Purifier | RandomPurifier] = RANDOM | {"resize": resize, "jpeg": jpeg, "blur": blur}


def purified(subject: Subject, name: str) -> Subject:
    """`subject` behind a purifier. An attacker may know it and go through it, a random one by the mean of
    `DRAWS` draws, or know only the bare metric.

    Raises ValueError for a purifier that is not known.
    """
    if name not in PURIFIERS:
        raise ValueError(f"there is no purifier {name!r}; choose from {', '.join(PURIFIERS)}.")
    purifier, draws = PURIFIERS[name], DRAWS if name in RANDOM else 0

    def behind(metric: Metric, *draw: int) -> Metric:
        return lambda dist, ref: metric(*purifier(dist, ref, *draw))

    def behind_draws(metric: Metric) -> Metric:
        if not draws:
            return behind(metric)
        drawn = [behind(metric, draw) for draw in range(draws)]
        return lambda dist, ref: torch.stack([one(dist, ref) for one in drawn]).mean(0)

    version, content = subject.version, subject.content
    if purifier is denoise:
        # Behind another denoiser the scores are others.
        denoiser = find_model(DENOISER, "denoiser")
        version += f", {denoiser.name} {denoiser.version}"
        content = f"{content} {denoiser.digest[:12]}".strip()
    forms = {form: behind_draws(metric) for form, metric in subject.surrogates.items()}
    bare = {f"bare {form}": metric for form, metric in subject.surrogates.items()}
    return replace(
        subject,
        name=f"{subject.name} + {name}",
        version=version,
        content=content,
        metric=behind(subject.metric),
        surrogates=forms | bare,
        drawn=" and ".join(filter(None, (subject.drawn, name if draws else ""))),
        draws=draws or subject.draws,
    )
