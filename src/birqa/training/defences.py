"""What attacks do to a batch in training, and what is asked of the model then.

R: attacked pictures, labels as they were. AT (Chistyakova et al. 2024): clean and attacked pictures together,
the labels of the attacked lowered by what SSIM says the attack has done to them. AAT (BiRQA, section 4):
anchors stay clean and are regressed on, the others are attacked and held between them by the hinge.
AT-anchors, a control that is ours: AAT's batches with AT's labels and no hinge.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from birqa.attacks.base import Metric
from birqa.attacks.pgd import PGD
from birqa.features.colour import luma
from birqa.features.ssim import local_statistics, ssim_map
from birqa.training.batches import Batch
from birqa.training.config import TrainingConfig


@dataclass(frozen=True)
class Posed:
    """The pictures of a process's share that the model is to score, and what is known of them, (N, ...)."""

    dist: Tensor
    ref: Tensor
    target: Tensor
    anchor: Tensor
    """Bool: clean pictures that hold the others in their place."""


def pose(config: TrainingConfig, model: nn.Module, batch: Batch, step: int, posed: Posed) -> Posed:
    """Attack what the defence attacks of a clean share of a batch. `posed` holds its clean pictures."""
    defence = config.defence
    if defence.kind == "none":
        return posed
    sign = _signs(config, step, batch, posed.target)
    attacked = _attack(config, model, posed, sign, step)
    if defence.kind == "R":
        return Posed(attacked, posed.ref, posed.target, posed.anchor)
    lowered = posed.target if defence.kind == "AAT" else lowered_labels(attacked, posed.dist, posed.target)
    if defence.kind == "AT":
        return Posed(
            torch.cat([posed.dist, attacked]),
            torch.cat([posed.ref, posed.ref]),
            torch.cat([posed.target, lowered]),
            torch.cat([posed.anchor, posed.anchor]),
        )
    clean = posed.anchor
    return Posed(
        torch.where(clean[:, None, None, None], posed.dist, attacked),
        posed.ref,
        torch.where(clean, posed.target, lowered),
        clean,
    )


def lowered_labels(attacked: Tensor, clean: Tensor, target: Tensor) -> Tensor:
    """y - (1 - SSIM of the attacked to the clean picture) on the scale 0..1, not below 0; (N,)."""
    with torch.no_grad():
        similarity = ssim_map(local_statistics(luma(clean), luma(attacked))).mean((1, 2, 3))
    return (target - (1 - similarity)).clamp(min=0)


def _attack(config: TrainingConfig, model: Metric, posed: Posed, sign: Tensor, step: int) -> Tensor:
    defence = config.defence
    share = budget_share(config, step)
    pgd = PGD(steps=defence.steps, step=share * defence.step, keep_best=False, seed=step)
    attacked = posed.dist.clone()
    chosen = ~posed.anchor
    if chosen.any():
        (attacked[chosen],) = pgd(
            model, posed.dist[chosen], posed.ref[chosen], [share * defence.budget], sign[chosen]
        )
    return attacked


def budget_share(config: TrainingConfig, step: int) -> float:
    """How much of the defence's budget the batch of a step is attacked with, in [0, 1]."""
    defence = config.defence
    share = min(1.0, (step + 1) / defence.ramp) if defence.ramp else 1.0
    lower = float(np.random.default_rng([config.seed, step, 2]).uniform(0, defence.spread))
    return share * (1 - lower)


def _signs(config: TrainingConfig, step: int, batch: Batch, target: Tensor) -> Tensor:
    """(N,), 1 or -1: where each picture of the share is pushed."""
    direction = config.defence.direction
    if direction == "inward":
        return torch.where(target > 0.5, -1.0, 1.0)
    if direction == "random":
        drawn = np.random.default_rng([config.seed, step, 1]).choice([-1.0, 1.0], config.batch)
        return torch.from_numpy(drawn[batch.places]).to(target)
    return torch.full_like(target, 1.0 if direction == "up" else -1.0)
