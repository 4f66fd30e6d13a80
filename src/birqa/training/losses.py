"""Loss (5) of the paper, MSE + alpha (1 - PLCC), and the loss that the order of fine steps has."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

ORDER_TEMPERATURE = 0.01
"""Steps that differ by several of these are told apart well enough."""


def plcc(prediction: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """Pearson's linear correlation of two vectors (N,), a scalar in [-1, 1]; 0 where one is constant."""
    prediction = prediction - prediction.mean()
    target = target - target.mean()
    # eps under the root, so that the gradient stays finite for constant vectors.
    norm = torch.sqrt((prediction * prediction).sum() * (target * target).sum() + eps**2)
    return (prediction * target).sum() / norm


def regression_loss(
    prediction: Tensor, target: Tensor, alpha: float = 1.0, mse_weight: float = 1.0
) -> Tensor:
    """mse_weight MSE + alpha (1 - PLCC) over scores and ratings (N,), both in [0, 1]; BiRQA eq. (5).

    alpha is open in the paper; 1.0 is our default for ratings in [0, 1].
    """
    error = torch.mean((prediction - target) ** 2)
    return mse_weight * error + alpha * (1 - plcc(prediction, target))


def step_order_loss(better: Tensor, worse: Tensor) -> Tensor:
    """How far scores (N,) of pictures fail to lie above those of versions that are known to be worse.

    A smooth hinge on the differences, in units of the scores.
    """
    return ORDER_TEMPERATURE * softplus((worse - better) / ORDER_TEMPERATURE).mean()
