"""Neural optimal transport in one dimension: the other way to bring metrics to a common domain.

A network T(score, z) with noise z takes one metric's clean scores to the common values, at the least squared
cost, against a potential f that tells the two apart. In one dimension the best map is known, it is the
quantile map of `measures.common_domain`; this one is for comparison with work that uses it.

Source: Korotin, Selikhanovych, Burnaev, "Neural optimal transport", 2023; 512 draws of z with deviation .1
averaged, as in the lab's work. Widths, steps and rates are ours.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

DRAWS = 512
DEVIATION = 0.1
STEPS = 600
BATCH = 128
INNER = 5
"""Steps of the map for each one of the potential."""
WIDTH = 32


def neural_domain(
    scores: ArrayLike, clean: ArrayLike, common: ArrayLike, seed: int = 0
) -> NDArray[np.float64]:
    """As `measures.common_domain`: scores (M,) of a metric with clean scores (N,) to the domain of `common`.

    Approximate, and beyond the clean scores a guess. Raises ValueError for clean scores that are all alike.
    """
    source, target, wanted = (np.asarray(values, np.float64) for values in (clean, common, scores))
    if np.ptp(source) == 0:
        raise ValueError(f"all clean scores are {source[0]:g}: they span no domain.")
    centre, scale = source.mean(), source.std()
    level, spread = target.mean(), target.std() or 1.0
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        first = torch.tensor((source - centre) / scale, dtype=torch.float32)[:, None]
        second = torch.tensor((target - level) / spread, dtype=torch.float32)[:, None]
        move = _fit(first, second)
        asked = torch.tensor((wanted - centre) / scale, dtype=torch.float32)
        with torch.no_grad():
            noise = DEVIATION * torch.randn(len(asked), DRAWS)
            moved = move(torch.stack([asked[:, None].expand(-1, DRAWS), noise], -1))[..., 0].mean(1)
    return np.asarray(level + spread * moved.numpy().astype(np.float64))


def _fit(source: Tensor, target: Tensor) -> nn.Module:
    """max over f, min over T of E|x - T(x, z)|^2 - E f(T(x, z)) + E f(y)."""
    move, potential = _perceptron(2), _perceptron(1)
    map_steps = torch.optim.Adam(move.parameters(), 1e-3)
    potential_steps = torch.optim.Adam(potential.parameters(), 1e-3)

    def moved() -> tuple[Tensor, Tensor]:
        start = source[torch.randint(len(source), (BATCH,))]
        return start, move(torch.cat([start, DEVIATION * torch.randn(BATCH, 1)], 1))

    for _ in range(STEPS):
        for _ in range(INNER):
            start, end = moved()
            loss = (start - end).square().mean() - potential(end).mean()
            map_steps.zero_grad()
            loss.backward()
            map_steps.step()
        with torch.no_grad():
            _, end = moved()
        loss = potential(end).mean() - potential(target[torch.randint(len(target), (BATCH,))]).mean()
        potential_steps.zero_grad()
        loss.backward()
        potential_steps.step()
    return move


def _perceptron(inputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)
    )
