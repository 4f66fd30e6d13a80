"""Anchored adversarial training: clean anchors hold attacked pictures in their place (BiRQA, section 4).

A batch holds anchors, which are never attacked, and pictures between them on the scale of ratings, which
are. Where an attacked picture's score passes those of its nearest anchors, the loss pulls it back; labels
of attacked pictures are used for their order only. Theorem 1 bounds the error on the batch it is measured
on; it is no certificate against attacks that were not made.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEAST_SPAN = 0.05
"""Were violations shares of less, a batch of pictures rated alike would drown all others. To the theorem,
where lambda stands with it only, any unit will do."""


@dataclass(frozen=True)
class Bound:
    """Theorem 1 on one batch.

    If anchors err by at most eps, every picture's nearest anchors are within eta of it, and no violation
    exceeds lambda * range, then no picture errs by more than eps + eta + lambda * range.
    """

    eps: float
    eta: float
    lambda_: float
    range: float
    """That violations are shares of: see `span`."""
    worst: float
    """The largest error that was met, E."""

    @property
    def bound(self) -> float:
        return self.eps + self.eta + self.lambda_ * self.range


@dataclass(frozen=True)
class Neighbours:
    """For each non-anchor, in the order of the batch, its nearest anchors below and above."""

    inner: Tensor
    """(M,) places of the non-anchors in the batch."""
    below: Tensor
    """(M,) places of the anchors with the largest rating that is not above theirs."""
    above: Tensor
    """(M,) places of those with the smallest rating that is not below theirs."""


def find_neighbours(target: Tensor, anchor: Tensor) -> Neighbours:
    """`target` (N,) ratings, `anchor` (N,) bool.

    Raises ValueError where a non-anchor has no anchor on one side: the theorem says nothing of it then.
    """
    places = torch.nonzero(anchor).flatten()
    inner = torch.nonzero(~anchor).flatten()
    if len(places) < 2:
        raise ValueError(f"{len(places)} anchors cannot hold anything between them: at least 2 are needed.")
    order = places[torch.argsort(target[places], stable=True)]
    levels = target[order].contiguous()
    wanted = target[inner].contiguous()
    if len(inner) and not (levels[0] <= wanted.min() and wanted.max() <= levels[-1]):
        raise ValueError("some ratings lie outside those of the anchors, which must enclose the batch.")
    above = torch.searchsorted(levels, wanted, right=False)
    below = torch.searchsorted(levels, wanted, right=True) - 1
    return Neighbours(inner, order[below], order[above])


def span(target: Tensor) -> Tensor:
    """Largest minus smallest rating of a batch, but no less than `LEAST_SPAN`."""
    return (target.max() - target.min()).clamp(min=LEAST_SPAN)


def violations(
    prediction: Tensor, target: Tensor, neighbours: Neighbours, hold_anchors: bool = False
) -> Tensor:
    """l_i of equation (3), (M,): how far each score is beyond its nearest anchors' scores, over `span`.

    With `hold_anchors` no gradient flows to the scores of anchors.
    """
    inner = prediction[neighbours.inner]
    anchors = prediction.detach() if hold_anchors else prediction
    too_low = torch.relu(anchors[neighbours.below] - inner)
    too_high = torch.relu(inner - anchors[neighbours.above])
    return torch.maximum(too_low, too_high) / span(target)


def anchored_loss(violation: Tensor, top: int) -> Tensor:
    """Mean of the `top` largest violations, which stands for their maximum (equation (6))."""
    if not len(violation):
        return violation.sum()
    return violation.topk(min(top, len(violation))).values.mean()


@torch.no_grad()
def measure_bound(prediction: Tensor, target: Tensor, anchor: Tensor) -> Bound:
    """Theorem 1 as it stands on one batch: scores, ratings and anchors (N,)."""
    neighbours = find_neighbours(target, anchor)
    error = (prediction - target).abs()
    gaps = torch.cat(
        [
            target[neighbours.inner] - target[neighbours.below],
            target[neighbours.above] - target[neighbours.inner],
        ]
    )
    violation = violations(prediction, target, neighbours)
    return Bound(
        float(error[anchor].max()),
        float(gaps.max()) if len(gaps) else 0.0,
        float(violation.max()) if len(violation) else 0.0,
        float(span(target)),
        float(error.max()),
    )


def summarise(bounds: list[Bound]) -> dict[str, float]:
    """For a log: means over steps, and at how many the error passed the bound (by Theorem 1, at none)."""
    if not bounds:
        return {}
    names = ("eps", "eta", "lambda_", "bound", "worst")
    means = {name.strip("_"): float(np.mean([getattr(one, name) for one in bounds])) for name in names}
    return means | {"beyond_bound": sum(one.worst > one.bound + 1e-6 for one in bounds)}


@dataclass(frozen=True)
class Band:
    """What one batch is made of, as numbers of pairs; anchors from low to high ratings."""

    anchors: NDArray[np.int64]
    inner: NDArray[np.int64]
    widened: float
    """How much wider than asked the band had to be to hold enough pictures, in units of the ratings; 0 as a
    rule."""


class BandSampler:
    """Draws batches of anchors and pictures between them: a band of ratings, its ends, and what lies inside.

    Band k is a pure function of (seed, k), so that a resumed run sees what an unbroken one sees.
    """

    def __init__(
        self, ratings: NDArray[np.float64], batch: int, anchors: int, width: float, seed: int
    ) -> None:
        if not 2 <= anchors < batch:
            raise ValueError(f"anchors={anchors} should be at least 2 and less than the batch of {batch}.")
        if len(ratings) < batch:
            raise ValueError(f"{len(ratings)} rated pairs do not fill a batch of {batch}.")
        if not width > 0:
            raise ValueError(f"width={width} of the band should be positive, in units of the ratings.")
        self.order = np.argsort(ratings, kind="stable")
        self.sorted = ratings[self.order]
        self.batch, self.anchors, self.width, self.seed = batch, anchors, width, seed

    def __call__(self, step: int) -> Band:
        rng = np.random.default_rng([self.seed, step])
        lowest, highest = self.sorted[0], self.sorted[-1]
        low = rng.uniform(lowest, max(lowest, highest - self.width))
        first = int(np.searchsorted(self.sorted, low, "left"))
        last = int(np.searchsorted(self.sorted, low + self.width, "right"))
        # A sparse band takes in its neighbours, on the nearer side first.
        while last - first < self.batch:
            below = self.sorted[first] - self.sorted[first - 1] if first else np.inf
            above = self.sorted[last] - self.sorted[last - 1] if last < len(self.sorted) else np.inf
            if below <= above:
                first -= 1
            else:
                last += 1
        inside = np.arange(first, last)
        ratings = self.sorted[inside]
        wanted = np.linspace(ratings[0], ratings[-1], self.anchors)
        # The ends themselves, so that they enclose all the others; between them the nearest, each once.
        chosen = [0, len(inside) - 1]
        for level in wanted[1:-1]:
            nearest = np.argsort(np.abs(ratings - level), kind="stable")
            chosen.append(next(int(place) for place in nearest if place not in chosen))
        chosen.sort()
        rest = np.setdiff1d(np.arange(len(inside)), chosen)
        inner = np.sort(rng.choice(rest, self.batch - self.anchors, replace=False))
        return Band(
            self.order[inside[chosen]],
            self.order[inside[inner]],
            max(0.0, float(ratings[-1] - ratings[0]) - self.width),
        )
