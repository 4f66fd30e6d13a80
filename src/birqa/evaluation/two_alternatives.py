"""Agreement with two-alternative forced choices: which of two pictures is closer to the reference?

Source: Zhang, Isola, Efros, Shechtman and Wang, "The unreasonable effectiveness of deep features as a
perceptual metric", CVPR 2018: a metric earns the share of people who chose as it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from birqa.evaluation.agreement import (
    RESAMPLES,
    Interval,
    bootstrap_interval,
    enough_references,
    resample_references,
)
from birqa.ratings import Judgement, split_unit


@dataclass(frozen=True)
class JudgementAgreement:
    """`accuracy` is the mean share of people who agree with the metric; `human` that of a person with the
    others, which is the ceiling for single people but not for a metric: always siding with the majority
    earns `majority`. `interval` is None where there are fewer than 5 references."""

    metric: str
    n: int
    accuracy: float
    interval: Interval | None
    human: float
    majority: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def study_judgements(
    scores: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    judgements: Sequence[Judgement],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[JudgementAgreement]:
    """`scores` holds for each metric those of the left and of the right pictures (larger is better)."""
    share = np.array([judgement.prefers_right for judgement in judgements])
    refs = [split_unit(judgement) for judgement in judgements]
    samples = resample_references(refs, resamples, seed) if enough_references(refs) else []
    human = float(np.mean(share**2 + (1 - share) ** 2))
    majority = float(np.mean(np.maximum(share, 1 - share)))
    agreements = []
    for name, (left, right) in scores.items():
        gap = np.asarray(right, np.float64) - np.asarray(left, np.float64)
        earned = np.where(gap > 0, share, np.where(gap < 0, 1 - share, 0.5))
        drawn = [float(earned[picked].mean()) for picked in samples]
        interval = bootstrap_interval(drawn) if drawn else None
        agreements.append(
            JudgementAgreement(name, len(judgements), float(earned.mean()), interval, human, majority)
        )
    return agreements
