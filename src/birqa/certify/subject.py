"""What is certified: a score of noisy pictures, and what tells it from all others."""

import importlib.metadata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from birqa import __version__
from birqa.certify.denoising import DENOISER, clamp, load_denoiser
from birqa.certify.identity import Part, Picture, identify
from birqa.certify.smoothed import BYTES_PER_PIXEL, Score
from birqa.certify.smoothing import Interval
from birqa.evaluation.functions import score_of_pictures
from birqa.registry import full_name

Denoise = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Noisy pictures (B, 3, H, W) -> pictures of the same shape in [0, 1]."""
FROZEN = "blind.clive"
"""What the methods of the papers are measured with: a metric that knows of no noise."""
CERTIFIED = "blind.clive-denoised"
"""The metric of certificates, where none is named and no reference is given: fitted to what `DENOISER`
leaves."""
UNLIMITED = (-np.inf, np.inf)
OWN_BYTES_PER_PIXEL = 256
"""Somewhat more than birqa's own metric behind its denoiser takes; `benchmarks/certificate_cost.py`
measures the whole process."""


# Noise is damage to a metric that compares: these leave it most of what it tells apart.
COMPARED_SIGMA = COMPARED_RADIUS = 0.02
MUCH_TO_COMPARE = 0.05


@dataclass(frozen=True)
class Subject:
    """A metric, and what stands between the noise and it."""

    metric: Part
    score: Score
    denoiser: Part | None = None
    """None: noisy pictures are clamped to [0, 1] and scored as they are."""
    reference: Picture | None = None
    """Of a full-reference metric; it is trusted, as only the distorted picture is smoothed."""
    limits: Interval = (0.0, 1.0)
    """The range of scores, which ends the interval where draws do not bound it; infinite where not known."""
    made_with: dict[str, str] = field(default_factory=dict)
    """Engine, device and versions: for people, when draws differ by more than they should."""
    bytes_per_pixel: int = BYTES_PER_PIXEL
    fitted_noise: tuple[float, ...] = ()
    """Deviations of the noise that the metric was fitted under; empty where it was not."""
    fitted_denoiser: str = "none"
    """What stood between that noise and the metric when it was fitted."""
    cleaned_noise: tuple[float, float] | None = None
    """The least and the largest deviation that the denoiser was trained for; None where there is none."""

    def unsuited(self, sigma: float) -> str | None:
        """What is wrong with noise of that deviation, or with the denoiser, for this metric, and what to do;
        None for nothing."""
        behind = "none" if self.denoiser is None else self.denoiser.name
        if self.fitted_noise and behind != self.fitted_denoiser:
            return (
                f"{self.metric.name} is fitted behind the denoiser {self.fitted_denoiser}, not behind "
                f"{behind}; leave --denoiser out, or choose --metric blind.clive."
            )
        if self.fitted_noise and not min(self.fitted_noise) <= sigma <= max(self.fitted_noise):
            return (
                f"{self.metric.name} is fitted to noise of {min(self.fitted_noise):g} to "
                f"{max(self.fitted_noise):g}, not of {sigma:g}; choose --sigma between, or "
                "--metric blind.clive."
            )
        if self.cleaned_noise and not self.cleaned_noise[0] <= sigma <= self.cleaned_noise[1]:
            return (
                f"{behind} is trained for noise of {self.cleaned_noise[0]:g} to {self.cleaned_noise[1]:g}, "
                f"not of {sigma:g}; choose --sigma between, or --denoiser none."
            )
        if self.reference is not None and self.cleaned_noise is None and sigma > MUCH_TO_COMPARE:
            return (
                f"noise of {sigma:g} is damage to a metric that compares, so that even identical pictures "
                f"score low; choose --sigma {COMPARED_SIGMA:g}."
            )
        return None


def create_subject(
    metric: str | Path | None = None,
    denoiser: str | Path | None = None,
    ref: NDArray[np.generic] | None = None,
    *,
    ref_file: str = "",
    engine: str = "auto",
    device: str | None = None,
    threads: int | None = None,
) -> Subject:
    """A metric of birqa or anybody's function, with or without a denoiser.

    Args:
        metric: name, name.tag or folder; default `CERTIFIED`, "birqa" with a reference, or `FROZEN` with
            another denoiser or none. Or "python:package.module:name", a function of pictures (B, 3, H, W)
            in [0, 1] that gives scores (B,), or "pyiqa:name", a no-reference metric of that package; with a
            reference, any spec of `birqa.evaluation.peers` that scores arrays.
        denoiser: name.tag or folder, "none", or None for what suits the metric: `DENOISER` for a no-reference
            metric of birqa, what stood before it where it was fitted under noise, none for others.
        ref: the reference (H, W, 3), uint8 or float in [0, 1], for full-reference metrics.
        ref_file: its name, for people.
        device: for torch; several, joined by commas ("cuda:0,cuda:1"), share each batch.

    Raises ValueError for what is not known or does not go together; ImportError for a missing package.
    """
    if device is not None and "," in device:
        return _shared_out(
            [
                create_subject(
                    metric, denoiser, ref, ref_file=ref_file, engine=engine, device=one, threads=threads
                )
                for one in device.split(",")
            ],
            device,
        )
    if denoiser is not None:
        denoiser = full_name(denoiser)
    default = "birqa" if ref is not None else CERTIFIED if denoiser in (None, DENOISER) else FROZEN
    spec = default if metric is None else metric
    made_with = {"birqa": __version__, "numpy": np.__version__}
    fitted_noise: tuple[float, ...] = ()
    others = isinstance(spec, str) and ":" in spec and not Path(spec).is_dir()
    if others:
        spec = str(spec)
        part, limits, suits = Part(spec, "", None), UNLIMITED, "none"
        scored = _peer(spec, ref) if ref is not None else score_of_pictures(spec, device or "cpu")
    else:
        from birqa.metric import create_any

        # The metrics of birqa differ in what they are called with, hence Any.
        made: Any = create_any(spec, engine=engine, device=device, threads=threads)
        part, limits = _part(made.model), made.info.range
        scored, suits = _own(made, ref)
        fitted_noise = getattr(made.model.config, "noise", ())
        made_with |= {name: str(made.settings[name]) for name in ("engine", "device")}
        package = {"onnx": "onnxruntime"}.get(made_with["engine"], made_with["engine"])
        made_with |= {package: importlib.metadata.version(package), "threads": str(threads or "all")}

    chosen = suits if denoiser is None else denoiser
    cleaner: Part | None = None
    cleaned_noise: tuple[float, float] | None = None
    clean: Denoise = clamp
    if str(chosen) != "none":
        loaded: Any = load_denoiser(chosen, engine=engine, device=device, threads=threads)
        cleaner, clean, cleaned_noise = _part(loaded.model), loaded, loaded.model.config.sigma
    behind = "none" if cleaner is None else cleaner.name
    return Subject(
        part,
        lambda noisy: scored(clean(noisy)),
        cleaner,
        None if ref is None else identify(ref, ref_file),
        limits,
        made_with,
        BYTES_PER_PIXEL if others else OWN_BYTES_PER_PIXEL,
        fitted_noise,
        # What suits may be a folder, which has another name than the denoiser in it.
        behind if str(chosen) == suits else suits,
        cleaned_noise,
    )


def _shared_out(subjects: list[Subject], device: str) -> Subject:
    """The same subject on several devices, each of which scores a part of every batch at the same time."""

    def score(noisy: NDArray[np.float32]) -> NDArray[np.generic]:
        parts = [part for part in np.array_split(noisy, len(subjects)) if len(part)]
        with ThreadPoolExecutor(len(parts)) as devices:
            scores = devices.map(lambda one: one[0].score(one[1]), zip(subjects, parts, strict=False))
            return np.concatenate(list(scores))

    made_with = subjects[0].made_with | {"device": device}
    return replace(subjects[0], score=score, made_with=made_with)


def _part(model: Any) -> Part:
    return Part(model.name, model.version, model.digest)


def _own(metric: Any, ref: NDArray[np.generic] | None) -> tuple[Score, str]:
    """The score of clean pictures, and the denoiser that suits the metric."""
    if metric.model.kind == "no-reference":
        if ref is not None:
            raise ValueError(f"{metric.info.name} looks at no reference: leave --ref out.")
        config = metric.model.config
        return metric.batch, (config.denoiser or "none") if config.noise else DENOISER
    if ref is None:
        raise ValueError(f"{metric.info.name} compares with a reference: give one with --ref.")
    return _one_by_one(lambda dist: float(metric(dist, ref)[0])), "none"


def _peer(spec: str, ref: NDArray[np.generic]) -> Score:
    from birqa.evaluation.peers import score_of_arrays

    score = score_of_arrays(spec, "the noisy pictures that a certificate is made of")
    return _one_by_one(lambda dist: score(dist, ref))


def _one_by_one(score: Callable[[NDArray[np.float32]], float]) -> Score:
    return lambda pictures: np.array([score(picture.transpose(1, 2, 0)) for picture in pictures])
