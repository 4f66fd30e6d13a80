"""Training of the denoiser that stands before a metric under noise: squared error, order, and score.

    MSE(D(x + n), x) + l_r * order + l_t * mean |M(D(x + n)) - M(x)|

M is the metric, frozen; the order term is a pairwise hinge: of two pictures the one that people rate higher
should score higher, by `margin` times the difference of the ratings. Source: what the abstract and keywords
of "Stochastic BIQA" (Shumitskaya, Pautov, Vatolin, Antsiferova) name; the forms and weights are ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from birqa.attacks.base import one_score_each
from birqa.blind.config import DenoiserConfig
from birqa.blind.denoiser import Denoiser
from birqa.images import load_image, require_eight_bit
from birqa.ranges import require_at_least, require_pictures
from birqa.ratings import RatedPicture, check_unit_range
from birqa.training.checkpoint import digest
from birqa.training.descent import Descent, Figures, Schedule
from birqa.training.recipes import Recipe


@dataclass(frozen=True)
class DenoiserTraining:
    """All of it ours."""

    batch: int = 16
    crop: int = 128
    """Side of the crops, a multiple of the denoiser's `multiple`; 0 takes whole pictures, all of one size."""
    rank_weight: float = 0.02
    """l_r; 0 asks for no order."""
    target_weight: float = 0.02
    """l_t; 0 asks for no scores."""
    margin: float = 1.0

    def __post_init__(self) -> None:
        require_at_least(1, self, "batch")
        require_at_least(0, self, "crop", "rank_weight", "target_weight", "margin")

    @property
    def asks_metric(self) -> bool:
        return bool(self.rank_weight or self.target_weight)


@dataclass(frozen=True)
class DenoiserRecipe(Recipe):
    network: DenoiserConfig = field(default_factory=DenoiserConfig)
    training: DenoiserTraining = field(default_factory=DenoiserTraining)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=5000, learning_rate=1e-3))


class Called(nn.Module):
    """Somebody's function of pictures as a metric, turned round where smaller is better."""

    def __init__(self, function: Callable[[Tensor], Tensor], larger_is_better: bool = True) -> None:
        super().__init__()
        self.function = function
        self.sign = 1.0 if larger_is_better else -1.0

    def forward(self, pictures: Tensor) -> Tensor:
        return self.sign * one_score_each(self.function(pictures), len(pictures))


@dataclass(frozen=True)
class Noisy:
    """A batch: clean and noisy crops (N, 3, h, w), clean ones in [0, 1], and their ratings."""

    clean: Tensor
    noisy: Tensor
    mos: Tensor


def order_loss(scores: Tensor, mos: Tensor, margin: float) -> Tensor:
    """Mean over pairs of relu(margin * (y_i - y_j) - (s_i - s_j)) with y_i > y_j; (N,), (N,) -> scalar."""
    wanted = mos[:, None] - mos[None, :]
    given = scores[:, None] - scores[None, :]
    violated = torch.relu(margin * wanted - given) * (wanted > 0)
    return violated.sum() / (wanted > 0).sum().clamp(min=1)


def train_denoiser(
    network: DenoiserConfig,
    training: DenoiserTraining,
    schedule: Schedule,
    pictures: Sequence[RatedPicture],
    out: Path,
    metric: nn.Module | None = None,
    start: dict[str, Tensor] | None = None,
    device: str = "cpu",
    metric_label: str = "",
) -> Descent[Noisy]:
    """A run on crops of `pictures` under noise of every strength in `network.sigma`.

    `metric` takes (N, 3, h, w) in [0, 1] and gives (N,); needed where order or score have a weight;
    `metric_label` tells it from others, so that a run does not go on with another. `start` gives the first
    weights. Raises ValueError where the metric is missing, ratings are outside 0..1, or a picture does not
    exist or suit the crop.
    """
    if training.asks_metric and metric is None:
        raise ValueError("rank_weight and target_weight need a metric.")
    if training.crop % network.multiple:
        raise ValueError(f"crop={training.crop} should be a multiple of {network.multiple}.")
    if not pictures:
        raise ValueError("there are no pictures to train on.")
    check_unit_range(pictures)
    require_pictures(picture.image for picture in pictures)
    loaded = [_eight_bit(picture.image, training.crop) for picture in pictures]
    sizes = {picture.shape[:2] for picture in loaded}
    if not training.crop and (len(sizes) > 1 or any(side % network.multiple for side in min(sizes))):
        raise ValueError(
            f"whole pictures must have one size, its sides multiples of {network.multiple}: set `crop`."
        )
    ratings = np.array([picture.mos for picture in pictures], np.float32)

    def draw(step: int) -> Noisy:
        rng = np.random.default_rng([schedule.seed, step])
        chosen = rng.integers(len(loaded), size=training.batch)
        crops = np.stack([_crop(loaded[index], training.crop, rng) for index in chosen])
        clean = crops.transpose(0, 3, 1, 2).astype(np.float32) / 255
        sigma = rng.uniform(*network.sigma, (len(clean), 1, 1, 1)).astype(np.float32)
        noise = rng.standard_normal(clean.shape, dtype=np.float32)
        # Samples are whole levels under the noise of a certificate.
        noisy = np.rint(255 * (clean + sigma * noise)) / np.float32(255)
        return Noisy(torch.from_numpy(clean), torch.from_numpy(noisy), torch.from_numpy(ratings[chosen]))

    def loss(model: nn.Module, batch: Noisy) -> tuple[Tensor, Figures]:
        clean, mos = batch.clean.to(device), batch.mos.to(device)
        cleaned = model(batch.noisy.to(device))
        mse = (cleaned - clean).square().mean()
        figures = {"mse": float(mse.detach())}
        if metric is None or not training.asks_metric:
            return mse, figures
        with torch.no_grad():
            wanted = metric(clean)
        scores = metric(cleaned)
        if not scores.requires_grad:
            raise ValueError(
                "the metric's scores carry no gradient (detached, or made outside torch): give a metric that "
                "is differentiable, or a recipe with rank_weight and target_weight 0."
            )
        order = order_loss(scores, mos, training.margin)
        target = (scores - wanted).abs().mean()
        figures |= {"order": float(order.detach()), "target": float(target.detach())}
        return mse + training.rank_weight * order + training.target_weight * target, figures

    torch.manual_seed(schedule.seed)
    model = Denoiser(network)
    if start is not None:
        model.load_state_dict(start)
    model.to(device)
    if metric is not None:
        metric.eval().requires_grad_(False).to(device)
    same = {
        "network": network.to_dict(),
        "training": vars(training),
        "data": digest(*(f"{picture.image.name} {picture.mos}" for picture in pictures)),
        "weights": digest(model.state_dict(), {} if metric is None else metric.state_dict()),
        "metric": metric_label,
    }
    defaults = {"network": DenoiserConfig().to_dict(), "training": vars(DenoiserTraining())}
    return Descent(model, schedule, draw, loss, out, same, defaults)


def _eight_bit(path: Path, crop: int) -> np.ndarray:
    picture = load_image(path)
    require_eight_bit(picture, path)
    if min(picture.shape[:2]) < crop:
        raise ValueError(f"{path} is smaller than the crop of {crop}: lower `crop`.")
    return picture


def _crop(picture: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A random square, turned left to right for half of them."""
    if side:
        top, left = (rng.integers(length - side + 1) for length in picture.shape[:2])
        picture = picture[top : top + side, left : left + side]
    return picture[:, ::-1] if rng.random() < 0.5 else picture
