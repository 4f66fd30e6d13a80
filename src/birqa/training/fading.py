"""Weaker forms of distorted pictures, which ought to score higher: an order that needs no people.

Adversarial training buys steadiness by scoring all slightly damaged pictures alike, so that fine steps of a
codec are no longer told apart. On the straight way from a distorted picture to its reference every point is
better than the one before; two of them are compared.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from birqa.training.batches import Batch
from birqa.training.config import TrainingConfig
from birqa.training.defences import Posed

LEAST_STRENGTH = 0.1
NEAREST, FARTHEST = 0.85, 0.5
"""Of the greater strength, the lesser is between these."""
SLOPE = 0.25
"""Were scores to rise evenly from the rating to 1, so much of that rise is asked for: people see little of
its last part, and of the first."""


@dataclass(frozen=True)
class Faded:
    """K pictures of a process's share of a batch, each at two strengths of its distortion."""

    chosen: Tensor
    """(N,) bool: which K of the share these are."""
    strength: Tensor
    """(K, 2), in (0, 1), the greater first."""
    dist: Tensor
    """(2K, 3, H, W): all at the greater strength, then all at the lesser."""
    ref: Tensor
    """(2K, 3, H, W)."""


def fade(config: TrainingConfig, batch: Batch, step: int, clean: Posed) -> Faded:
    """`clean` holds the share's pictures as they were before any attack."""
    chosen = batch.places < config.fades
    drawn = [_strengths(config.seed, step, place) for place in batch.places[chosen].tolist()]
    strength = torch.tensor(drawn).reshape(-1, 2).to(clean.dist)
    mask = torch.from_numpy(chosen).to(clean.dist.device)
    ref, change = clean.ref[mask], clean.dist[mask] - clean.ref[mask]
    faded = [ref + one[:, None, None, None] * change for one in strength.unbind(1)]
    return Faded(mask, strength, torch.cat(faded), torch.cat([ref, ref]))


def _strengths(seed: int, step: int, place: int) -> tuple[float, float]:
    rng = np.random.default_rng([seed, step, place, 3])
    greater = LEAST_STRENGTH ** rng.uniform()
    return greater, greater * rng.uniform(FARTHEST, NEAREST)


def fade_violations(faded: Faded, scores: Tensor, target: Tensor) -> Tensor:
    """(N,): how far each picture of the share is from the rise that is asked for; 0 where it was not chosen.

    `scores` (2K,) are those of `faded.dist`, `target` (N,) the share's ratings, 1 for an undistorted picture.
    """
    greater, lesser = scores.chunk(2)
    asked = SLOPE * (1 - target[faded.chosen]) * (faded.strength[:, 0] - faded.strength[:, 1])
    missing = torch.zeros_like(target)
    missing[faded.chosen] = torch.relu(asked - (lesser - greater)).to(missing)
    return missing
