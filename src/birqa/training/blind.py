"""Training of the no-reference metric: the ratings of real pictures, and before them, if wanted, damage.

A metric of analytic statistics alone is fitted to ratings (`birqa.blind.regression`), and may be shown some
damaged pictures beside the rated ones. One with a network first sees damage of known kind and strength on
pristine photographs: it learns to tell what was done to a picture, how strongly, and what people say of such
damage, and so finds statistics that distortions change.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.blind.config import BlindConfig
from birqa.blind.network import Blind, KernelRegression, Statistics
from birqa.blind.regression import FEWEST, fit_regression
from birqa.certify.denoising import clamp, load_denoiser
from birqa.certify.noise import Noise
from birqa.engines.single import pad_to, to_planes
from birqa.evaluation.correlation import correlate
from birqa.features.colour import luma
from birqa.files import file_state, replacing
from birqa.images import load_image, require_eight_bit
from birqa.pyramid import MINIMUM_SIDE
from birqa.ranges import require_at_least, require_pictures, require_positive
from birqa.ratings import RatedPair, RatedPicture, check_unit_range
from birqa.training.checkpoint import digest
from birqa.training.descent import Descent, Figures, Schedule
from birqa.training.losses import plcc, regression_loss
from birqa.training.recipes import Recipe


@dataclass(frozen=True)
class BlindTraining:
    """All of it ours."""

    batch: int = 32
    crop: int = 224
    """Side of the crops in pixels of the pictures, a multiple of the network's `shrink`."""
    mse_weight: float = 10.0
    """Of the squared error of the predicted rating."""
    plcc_weight: float = 1.0
    """Of 1 - PLCC over the batch."""
    type_weight: float = 0.3
    """Of the cross-entropy over kinds of distortion."""
    level_weight: float = 0.1
    """Of the cross-entropy over their levels."""
    hidden: int = 128
    damaged: int = 600
    """Damaged pictures that the regression remembers beside the rated ones, where there is no network."""
    damage: float = 0.55
    """What damage of the worst rating takes from the score of the picture as it was."""
    identity_mos: float = 1.0
    """Rating of an undistorted picture on the scale of those of damaged ones."""
    grey: bool = False
    """Whether the regression sees every rated picture in black and white as well, with the rating it has."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "batch", "crop", "hidden", "damaged")
        require_at_least(0, self, "mse_weight", "plcc_weight", "type_weight", "level_weight", "damage")
        require_positive(self, "identity_mos")


@dataclass(frozen=True)
class BlindRecipe(Recipe):
    network: BlindConfig = field(default_factory=BlindConfig)
    training: BlindTraining = field(default_factory=BlindTraining)
    schedule: Schedule = field(
        default_factory=lambda: Schedule(steps=5000, learning_rate=2e-3, weight_decay=1e-4)
    )


@dataclass(frozen=True)
class Damaged:
    """A batch: shrunk crops (N, 3, h, w) in [0, 1], their ratings, and which type and level they are of."""

    pictures: Tensor
    mos: Tensor
    type: Tensor
    level: Tensor


class Pretext(nn.Module):
    """Statistics -> rating, type and level; only the statistics are kept."""

    def __init__(self, config: BlindConfig, hidden: int, types: int, levels: int) -> None:
        super().__init__()
        self.statistics = Statistics(config, normalised=True)
        self.hidden = nn.Linear(config.learned, hidden)
        self.to_rating = nn.Linear(hidden, 1)
        self.to_type = nn.Linear(hidden, types)
        self.to_level = nn.Linear(hidden, levels)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = F.relu(self.hidden(self.statistics(pictures)))
        return self.to_rating(hidden)[:, 0], self.to_type(hidden), self.to_level(hidden)


def pretrain(
    network: BlindConfig, training: BlindTraining, schedule: Schedule, pairs: Sequence[RatedPair], out: Path
) -> Descent[Damaged]:
    """A run over the distorted pictures of `pairs`, all of one size; `run()` gives a `Pretext`.

    Raises ValueError where pairs have no type or level, ratings are outside 0..1, or pictures do not exist or
    differ in size.
    """
    if not network.widths:
        raise ValueError("a metric without a network has nothing to learn from damage: set widths.")
    if training.crop % network.shrink:
        raise ValueError(f"crop={training.crop} should be a multiple of shrink={network.shrink}.")
    if not pairs or not all(pair.type and pair.level for pair in pairs):
        raise ValueError("every pair must have a type and a level, as `birqa data kadid` writes them.")
    check_unit_range(pairs)
    require_pictures(pair.dist for pair in pairs)
    types, type_of = np.unique([pair.type for pair in pairs], return_inverse=True)
    levels, level_of = np.unique([pair.level for pair in pairs], return_inverse=True)
    ratings = np.array([pair.mos for pair in pairs], np.float32)
    out.mkdir(parents=True, exist_ok=True)
    data = digest(*(f"{one.dist.name} {one.mos} {one.type} {one.level}" for one in pairs))
    shown = digest(data, *("{} {}".format(*file_state(pair.dist)) for pair in pairs))
    cache = out / f"pictures-{network.shrink}-{shown[:12]}.npy"
    pictures = shrunk_pictures([pair.dist for pair in pairs], network.shrink, cache)
    side = training.crop // network.shrink
    rows, columns = (length - side + 1 for length in pictures.shape[2:])
    if min(rows, columns) < 1:
        raise ValueError(f"crop={training.crop} is larger than the pictures: lower it.")

    def draw(step: int) -> Damaged:
        rng = np.random.default_rng([schedule.seed, step])
        chosen = rng.integers(len(pairs), size=training.batch)
        crops = []
        for index in chosen:
            top, left = rng.integers(rows), rng.integers(columns)
            crop = pictures[index, :, top : top + side, left : left + side]
            crops.append(crop[:, :, ::-1] if rng.random() < 0.5 else crop)
        return Damaged(
            torch.from_numpy(np.stack(crops)).float() / 255,
            torch.from_numpy(ratings[chosen]),
            torch.from_numpy(type_of[chosen]),
            torch.from_numpy(level_of[chosen]),
        )

    def loss(model: nn.Module, batch: Damaged) -> tuple[Tensor, Figures]:
        rating, kind, level = model(batch.pictures)
        total = (
            regression_loss(rating, batch.mos, training.plcc_weight, training.mse_weight)
            + training.type_weight * F.cross_entropy(kind, batch.type)
            + training.level_weight * F.cross_entropy(level, batch.level)
        )
        told = (kind.argmax(1) == batch.type).float().mean()
        return total, {"plcc": float(plcc(rating.detach(), batch.mos)), "types_told": float(told)}

    torch.manual_seed(schedule.seed)
    model = Pretext(network, training.hidden, len(types), len(levels))
    same = {"network": network.to_dict(), "training": vars(training), "data": data}
    defaults = {"network": BlindConfig().to_dict(), "training": vars(BlindTraining())}
    return Descent(model, schedule, draw, loss, out, same, defaults)


def check_learnable(pictures: Sequence[RatedPicture]) -> None:
    """Raises ValueError for what `fit_blind` could not learn from, so that it is said before a training:
    ratings outside 0..1, too few or all alike outside split test, and pictures that do not exist."""
    check_unit_range(pictures)
    ratings = [picture.mos for picture in pictures if picture.split != "test"]
    if len(ratings) < FEWEST or len(set(ratings)) < 2:
        raise ValueError(
            f"{len(ratings)} rated pictures outside split test, {len(set(ratings))} different ratings: at "
            f"least {FEWEST} pictures that are rated differently are needed."
        )
    for picture in pictures:
        if not picture.image.is_file():
            raise ValueError(f"{picture.image} does not exist: check the table of rated pictures.")


@dataclass(frozen=True)
class Damage:
    """What damaged pictures tell a regression: statistics of M photographs as they were and of N damaged ones
    (M + N, V, F), which photograph each of those was (N,), and what its damage costs (N,)."""

    statistics: Tensor
    places: Tensor
    cost: Tensor


def describe_damage(
    blind: Blind,
    training: BlindTraining,
    pairs: Sequence[RatedPair],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Damage:
    """Of `training.damaged` pairs drawn by chance, and of their references.

    Raises ValueError for ratings outside 0..1 and for pictures that do not exist or are too small.
    """
    check_unit_range(pairs)
    drawn = np.random.default_rng(0).permutation(len(pairs))[: training.damaged]
    chosen = [pairs[index] for index in sorted(drawn)]
    require_pictures(path for pair in chosen for path in (pair.ref, pair.dist))
    refs = sorted({pair.ref for pair in chosen})
    place = {ref: index for index, ref in enumerate(refs)}
    ratings = torch.tensor([pair.mos for pair in chosen])
    return Damage(
        describe_pictures(blind, [*refs, *(pair.dist for pair in chosen)], progress),
        torch.tensor([place[pair.ref] for pair in chosen]),
        training.damage * (1 - ratings / training.identity_mos).clamp(min=0),
    )


def fit_with_damage(
    statistics: Tensor, ratings: Tensor, groups: Sequence[int], damage: Damage | None
) -> KernelRegression:
    """A regression on rated pictures, as `fit_regression` takes them; and where there is `damage`, a second
    one, on these, on its photographs as the first one scores them, and on them damaged, as much lower as
    their damage costs. Rated photographs hardly have such damage, so they alone do not tell that it is bad.
    Where rated pictures have more views, damaged ones stand there as often.
    """
    fitted = fit_regression(statistics, ratings, groups)
    if damage is None:
        return fitted
    photographs = len(damage.statistics) - len(damage.cost)
    with torch.no_grad():
        whole = torch.stack([fitted(view) for view in damage.statistics[:photographs].unbind(1)]).mean(0)
    whole = whole.clamp(0, 1)
    lowered = (whole[damage.places] - damage.cost).clamp(0, 1)
    as_often = damage.statistics.repeat(1, statistics.shape[1] // damage.statistics.shape[1], 1)
    return fit_regression(torch.cat([statistics, as_often]), torch.cat([ratings, whole, lowered]), groups)


def fit_blind(
    network: BlindConfig,
    pretext: nn.Module | None,
    pictures: Sequence[RatedPicture],
    progress: Callable[[int, int], None] = lambda done, total: None,
    damaged: Sequence[RatedPair] = (),
    training: BlindTraining | None = None,
) -> tuple[Blind, dict[str, Any]]:
    """The metric of what `pretext` has learned, None without a network, and of the ratings of all pictures
    but those of split test, and where there are `damaged` ones, of what they lost: see `fit_with_damage`.

    Gives it with its agreement on the test pictures, under each noise where the configuration has some, empty
    where there are too few. Raises ValueError for ratings outside 0..1, and for pictures that are too small
    or, under noise, not of 8 bits.
    """
    check_unit_range(pictures)
    blind = Blind(network)
    if pretext is not None:
        blind.statistics = cast(Pretext, pretext).statistics.folded()
    training = training or BlindTraining()
    files = [picture.image for picture in pictures]
    described = describe_pictures(blind.eval(), files, progress, training.grey)
    ratings = torch.tensor([picture.mos for picture in pictures])
    held_out = torch.tensor([picture.split == "test" for picture in pictures])
    damage = describe_damage(blind, training, damaged, progress) if damaged else None
    model = fit_with_damage(described[~held_out], ratings[~held_out], network.groups, damage)
    measured: dict[str, Any] = {}
    # Too few pictures, or all alike: nothing to say is no reason to stop.
    with suppress(ValueError):
        scores = [model(view).clamp(0, 1).tolist() for view in described[held_out].unbind(1)]
        agreements = [correlate(one, ratings[held_out].tolist()) for one in scores]
        found = [{"srocc": one.srocc, "plcc": one.plcc} for one in agreements]
        under_noise = {f"sigma {sigma:g}": one for sigma, one in zip(network.noise, found, strict=False)}
        measured = {"pictures": int(held_out.sum())} | (under_noise or found[0])
    fitted = Blind(replace(network, supports=len(model.supports)))
    fitted.statistics, fitted.regression = blind.statistics, model
    return fitted.eval(), measured


@torch.no_grad()
def describe_pictures(
    blind: Blind,
    files: Sequence[Path],
    progress: Callable[[int, int], None] = lambda done, total: None,
    grey: bool = False,
) -> Tensor:
    """Statistics of whole pictures, (N, V, sum(blind.config.groups)): as they are, V = 1, or under each of
    the configuration's deviations of noise, which takes 8-bit pictures; with `grey`, then the same in black
    and white."""
    clean = load_denoiser(blind.config.denoiser) if blind.config.denoiser else clamp
    described = []
    for done, file in enumerate(files):
        progress(done, len(files))
        picture = load_image(file)
        if min(picture.shape[:2]) < MINIMUM_SIDE:
            raise ValueError(f"{file} is too small: each side must be at least {MINIMUM_SIDE} pixels.")
        shown = [picture, _drained(picture)] if grey else [picture]
        if blind.config.noise:
            views = clean(np.concatenate([_noisy(one, blind.config.noise, done, file) for one in shown]))
        else:
            views = np.concatenate([to_planes(one) for one in shown])
        described.append(blind.describe(torch.from_numpy(pad_to(views, blind.config.multiple))))
    progress(len(files), len(files))
    return torch.stack(described)


def _drained(picture: NDArray[np.generic]) -> NDArray[np.generic]:
    """The luma of BT.601 in all three channels, of the same type."""
    planes = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)
    levels = luma(planes[None])[0].permute(1, 2, 0).numpy()
    levels = levels if picture.dtype.kind == "f" else np.rint(levels)
    return np.repeat(levels, 3, axis=2).astype(picture.dtype)


def _noisy(
    picture: NDArray[np.generic], sigmas: Sequence[float], number: int, file: Path
) -> NDArray[np.float32]:
    """(len(sigmas), 3, H, W), as certificates are drawn; another noise for every picture."""
    require_eight_bit(picture, file)
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1))
    return np.stack([Noise("discrete", sigma).draw(number, planes) for sigma in sigmas])


def shrunk_pictures(files: Sequence[Path], shrink: int, cache: Path) -> NDArray[np.uint8]:
    """(N, 3, H / shrink, W / shrink): means over shrink x shrink pixels, rounded; kept in `cache`.

    Raises ValueError where a picture is of another size than the first, or not of 8 bits.
    """
    if cache.exists():
        kept: NDArray[np.uint8] = np.load(cache)
        return kept
    pictures: NDArray[np.uint8] | None = None
    for index, file in enumerate(files):
        picture = load_image(file)
        height, width = (side // shrink * shrink for side in picture.shape[:2])
        require_eight_bit(picture, file)
        cells = picture[:height, :width].reshape(height // shrink, shrink, width // shrink, shrink, 3)
        small = np.rint(cells.mean((1, 3), dtype=np.float32)).astype(np.uint8).transpose(2, 0, 1)
        if pictures is None:
            pictures = np.empty((len(files), *small.shape), np.uint8)
        if small.shape != pictures.shape[1:]:
            raise ValueError(f"{file} differs in size from {files[0]}: crop all to one size.")
        pictures[index] = small
    if pictures is None:
        raise ValueError("there are no pictures to train on.")
    with replacing(cache) as part, part.open("wb") as file_out:
        np.save(file_out, pictures)
    return pictures
