"""Kernel regression of ratings on statistics of pictures: a Gaussian process, fitted by leave-one-out.

    k(z, z') = a m(sum_g w_g |z_g - z'_g|^2 / size_g) + noise,  g: groups of statistics, standardised

m is the Matern kernel of order 3/2; a, the noise and the w_g are those under which each rated picture is
best predicted by all the others, in log probability. Several views of one picture share the noise of its
rating, have some of their own besides, and are left out together. Source: Rasmussen and Williams, "Gaussian
processes for machine learning", 2006, sections 4.2.1 and 5.4.2; the views are ours.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from birqa.blind.network import LIMIT, KernelRegression, matern

FEWEST = 10
"""Rated pictures that anything can be learned from."""
LEAST_SPREAD = 1e-3
"""Below it a statistic is the rounding of bins that hardly a picture fills, and differs between engines."""


def fit_regression(
    statistics: Tensor,
    ratings: Tensor,
    groups: Sequence[int],
    iterations: int = 60,
    learning_rate: float = 0.1,
) -> KernelRegression:
    """statistics (N, F), or (N, V, F) of V views of each picture; ratings (N,) in 0..1; groups: sizes that
    sum to F. The same data give the same fit.

    Raises ValueError where sizes do not sum to F, there are fewer than 10 rated pictures, all are rated
    alike, or a value is not finite.
    """
    if statistics.ndim == 2:
        statistics = statistics[:, None]
    count, views, features = statistics.shape
    if sum(groups) != features:
        raise ValueError(f"groups of {sum(groups)} statistics do not fit the {features} that there are.")
    if count < FEWEST:
        raise ValueError(f"{count} rated pictures are too few to learn from: give at least {FEWEST}.")
    if not (torch.isfinite(statistics).all() and torch.isfinite(ratings).all()):
        raise ValueError("some statistics or ratings are not finite: leave these pictures out.")
    if ratings.min() == ratings.max():
        raise ValueError(f"all ratings are {float(ratings[0]):g}: there is nothing to learn from them.")
    statistics, ratings = statistics.detach().double().flatten(0, 1), ratings.detach().double()
    centre, spread = statistics.mean(0), statistics.std(0).clamp(min=LEAST_SPREAD)
    placed = ((statistics - centre) / spread).clamp(-LIMIT, LIMIT)
    parts = placed.split(list(groups), dim=1)
    distances = torch.stack([squared_distances(part, part) / part.shape[1] for part in parts]).float()
    bias, deviation = ratings.mean(), ratings.std()
    wanted = ((ratings - bias) / deviation).float().repeat_interleave(views)
    same = torch.kron(torch.eye(count), torch.ones(views, views))

    log_weights = torch.full((len(groups),), math.log(0.5 / len(groups)), requires_grad=True)
    log_noise = torch.tensor(math.log(0.4), requires_grad=True)
    log_size = torch.tensor(0.0, requires_grad=True)
    learned = [log_weights, log_noise, log_size]
    if views > 1:
        learned.append(torch.tensor(math.log(0.05), requires_grad=True))
    optimiser = torch.optim.Adam(learned, learning_rate)
    for _ in range(iterations):
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(_kernel(distances, same, *learned)))
        # (N, V, V): how the views of a picture vary together, given all other pictures.
        together = inverse.unflatten(0, (count, views)).unflatten(2, (count, views)).diagonal(dim1=0, dim2=2)
        together = torch.linalg.inv(together.permute(2, 0, 1))
        variance = together.diagonal(dim1=1, dim2=2)
        missed = torch.matmul(together, (inverse @ wanted).unflatten(0, (count, views))[:, :, None])[:, :, 0]
        loss = (missed.square() / variance + variance.log()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    with torch.no_grad():
        solved = torch.linalg.solve(_kernel(distances, same, *learned).double(), wanted.double())
        coefficients = solved * log_size.double().exp() * deviation
        weight = (
            torch.cat(
                [
                    torch.full((size,), float(one) / size)
                    for size, one in zip(groups, log_weights.exp(), strict=True)
                ]
            )
            .double()
            .sqrt()
        )
        fitted = KernelRegression(features, len(placed))
        fitted.centre.copy_(centre)
        fitted.scale.copy_(weight / spread)
        fitted.limit.copy_(LIMIT * weight)
        # Most of what is stored: rounded to half precision, which hardly moves a distance.
        fitted.supports.copy_((placed * weight).half())
        fitted.squares.copy_(fitted.supports.double().square().sum(1))
        fitted.coefficients.copy_(coefficients)
        fitted.bias.copy_(bias)
    return fitted


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """(N, F), (M, F) -> (N, M), at least 0."""
    squares = one.square().sum(1)[:, None] + other.square().sum(1)
    return torch.relu(squares - 2 * one @ other.T)


def _kernel(
    distances: Tensor,
    same: Tensor,
    log_weights: Tensor,
    log_noise: Tensor,
    log_size: Tensor,
    log_own: Tensor | None = None,
) -> Tensor:
    """`same` is 1 where two views are of one picture; a single view has no noise of its own."""
    alike = matern(torch.einsum("g,gij->ij", log_weights.exp(), distances))
    kernel = log_size.exp() * alike + log_noise.exp() * same
    return kernel if log_own is None else kernel + log_own.exp() * torch.eye(len(kernel))
