"""A denoiser by name, on either engine. Needs no torch."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from birqa.engines.single import check_single, create_single_engine
from birqa.metric import choose_engine
from birqa.model import Model
from birqa.registry import find_model

DENOISER = "denoiser.blind"
"""The one that ships."""


def clamp(noisy: NDArray[np.float32]) -> NDArray[np.float32]:
    """What stands in for a denoiser where there is none."""
    return np.clip(noisy, 0, 1)


class LoadedDenoiser:
    """Noisy pictures (B, 3, H, W), float32 in units of [0, 1] and beyond it -> pictures in [0, 1]."""

    def __init__(self, model: Model, engine: str, device: str, threads: int | None) -> None:
        self.model = model
        self.engine = create_single_engine(model, engine, device, threads)
        check_single(model, self.engine, device)

    def __call__(self, noisy: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.engine.run(noisy)


def load_denoiser(
    name: str | Path = DENOISER,
    *,
    engine: str = "auto",
    device: str | None = None,
    threads: int | None = None,
) -> LoadedDenoiser:
    """Arguments, and what is raised, as for `birqa.create_metric`."""
    chosen, device = choose_engine(engine, device, grad=False)
    return LoadedDenoiser(find_model(name, "denoiser"), chosen, device, threads)
