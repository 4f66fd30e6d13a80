"""Batches drawn from rated pairs."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from birqa.files import file_state
from birqa.images import load_image, to_float
from birqa.pairing import Pair
from birqa.ranges import require_pictures
from birqa.ratings import RatedPair
from birqa.training.anchors import BandSampler
from birqa.training.steps import known_step

UNRATED_CROP = 224


def load_alike(pair: Pair | RatedPair) -> tuple[np.ndarray, np.ndarray]:
    """(dist, ref). Raises ValueError where they differ in size or depth."""
    dist, ref = load_image(pair.dist), load_image(pair.ref)
    if dist.shape != ref.shape or dist.dtype != ref.dtype:
        raise ValueError(f"{pair.dist} and {pair.ref} differ in size or depth: they must have the same.")
    return dist, ref


@dataclass(frozen=True)
class Batch:
    """dist, ref: float32 (N, 3, H, W) in [0, 1]; mos: float32 (N,); names of the N distorted files."""

    dist: np.ndarray
    ref: np.ndarray
    mos: np.ndarray
    names: tuple[str, ...]
    anchor: np.ndarray
    """(N,) bool: never to be attacked."""
    places: np.ndarray
    """(N,): which samples of the whole batch these are."""
    steps: np.ndarray | None = None
    """(3, K, 3, H, W): `known_step` of the references among the first `order_pairs` of the whole batch."""
    widened: float = 0.0
    """Of an anchored batch: see `Band.widened`."""


class BatchSampler:
    """Sample i of batch k is a pure function of (seed, k, i): a resumed run sees what an unbroken one sees,
    and several processes can each make their share of a batch.

    A batch holds `batch // references_per_batch` distorted versions of each of `references_per_batch`
    references: PLCC then ranks distortions on the same content as well as across contents. References are
    drawn in proportion to the mean weight of their pairs.
    """

    crop_setting: str | None = "`crop` in the recipe (or --crop)"
    """What a user would change for another crop; None where it is fixed."""

    def __init__(
        self,
        pairs: list[RatedPair],
        batch: int,
        references_per_batch: int,
        crop: int,
        seed: int,
        border: float = 0.0,
        order_pairs: int = 0,
        order_of: Sequence[str] = ("codec",),
    ) -> None:
        by_reference: dict[Path, list[RatedPair]] = {}
        for pair in pairs:
            by_reference.setdefault(pair.ref, []).append(pair)
        self.groups = list(by_reference.values())
        weights = np.array([np.mean([pair.weight for pair in group]) for group in self.groups])
        self.chances = None if np.ptp(weights) == 0 else weights / weights.sum()
        self.batch = batch
        self.references_per_batch = min(references_per_batch, len(self.groups))
        self.crop = crop
        self.seed = seed
        self.border = border
        self.order_pairs = order_pairs
        self.order_of = order_of

    def __call__(self, step: int, share: Iterable[int] | None = None) -> Batch:
        """Batch `step`, or of it the samples whose numbers are in `share`."""
        chosen = np.random.default_rng([self.seed, step]).choice(
            len(self.groups), self.references_per_batch, replace=False, p=self.chances
        )

        def draw(index: int, rng: np.random.Generator) -> RatedPair:
            group = self.groups[chosen[index % self.references_per_batch]]
            return group[rng.integers(len(group))]

        return self._batch(step, share, draw, anchors=0)

    def _batch(
        self,
        step: int,
        share: Iterable[int] | None,
        draw: Callable[[int, np.random.Generator], RatedPair],
        anchors: int,
    ) -> Batch:
        """The samples that `draw` gives for places in the batch, of which the first `anchors` are anchors."""
        dist, ref, mos, names = [], [], [], []
        places = np.array(range(self.batch) if share is None else share, np.int64)
        for index in places.tolist():
            rng = np.random.default_rng([self.seed, step, index])
            pair = draw(index, rng)
            names.append(pair.dist.name)
            cropped = self._augment(self._load(pair), rng)
            dist.append(cropped[..., :3])
            ref.append(cropped[..., 3:])
            mos.append(pair.mos)
        refs = _planes(ref, self.crop_setting)
        asked = np.flatnonzero(places < self.order_pairs)
        steps = [
            known_step(refs[at], np.random.default_rng([self.seed, step, places[at], 3]), self.order_of)
            for at in asked
        ]
        return Batch(
            _planes(dist, self.crop_setting),
            refs,
            np.array(mos, np.float32),
            tuple(names),
            places < anchors,
            places,
            np.stack(steps, axis=1) if steps else None,
        )

    def _load(self, pair: RatedPair) -> np.ndarray:
        """Both pictures in one array (H, W, 6), so that they are cropped and turned alike."""
        dist, ref = load_alike(pair)
        if min(dist.shape[:2]) < self.crop:
            size = f"{pair.dist} is {dist.shape[1]}x{dist.shape[0]}"
            if self.crop_setting is None:
                raise ValueError(f"{size}, but training pictures must be at least {self.crop} pixels a side.")
            raise ValueError(f"{size}, smaller than the crop of {self.crop}: lower {self.crop_setting}.")
        return np.concatenate([dist, ref], axis=2)

    def _augment(self, both: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = both.shape[:2]
        if self.crop:
            # Offsets in steps of 8 keep the block grid of JPEG-like codecs where it was.
            top = 8 * rng.integers((height - self.crop) // 8 + 1)
            left = 8 * rng.integers((width - self.crop) // 8 + 1)
            both = both[top : top + self.crop, left : left + self.crop]
        if self.border and rng.random() < self.border:
            both = _darken_border(both, rng)
        if rng.random() < 0.5:
            both = both[:, ::-1]
        if rng.random() < 0.5:
            both = both[::-1]
        # Whole pictures that are not square keep their orientation, or they would not fit into one batch.
        if both.shape[0] == both.shape[1] and rng.random() < 0.5:
            both = both.transpose(1, 0, 2)
        return both


def files_digest(pairs: Sequence[Pair]) -> str:
    """Tells these files from others, and from what they were before they were written anew.

    Raises OSError for a file that does not exist.
    """
    digest = hashlib.sha256()
    for path in dict.fromkeys(path for pair in pairs for path in (pair.ref, pair.dist)):
        digest.update(json.dumps([str(path), *file_state(path)]).encode())
    return digest.hexdigest()


def unrated_batches(
    pairs: Sequence[Pair], steps: int, *, batch: int = 8, crop: int | None = None, seed: int = 0
) -> Iterator[Batch]:
    """`steps` batches of random crops of pairs that nobody has rated; their `mos` is NaN.

    `crop` is `train_crop` of a protocol; without one it is 224 pixels. Raises ValueError where pictures do
    not exist, and as they are drawn where one is smaller than the crop.
    """
    require_pictures(path for pair in pairs for path in (pair.ref, pair.dist))
    unrated = [RatedPair(pair.ref, pair.dist, float("nan"), "train") for pair in pairs]
    sampler = BatchSampler(unrated, batch, batch, UNRATED_CROP if crop is None else crop, seed)
    sampler.crop_setting = None if crop is None else "`train_crop` in the protocol"
    return map(sampler, range(steps))


class AnchoredSampler(BatchSampler):
    """Batches of anchors and of pictures between them on the scale of ratings; see `BandSampler`."""

    def __init__(
        self,
        pairs: list[RatedPair],
        batch: int,
        anchors: int,
        width: float,
        crop: int,
        seed: int,
        border: float = 0.0,
        order_pairs: int = 0,
        order_of: Sequence[str] = ("codec",),
    ) -> None:
        """`width` is that of a band, in units of the ratings."""
        super().__init__(pairs, batch, batch, crop, seed, border, order_pairs, order_of)
        self.pairs = pairs
        self.bands = BandSampler(np.array([pair.mos for pair in pairs]), batch, anchors, width, seed)

    def __call__(self, step: int, share: Iterable[int] | None = None) -> Batch:
        band = self.bands(step)
        members = [*band.anchors.tolist(), *band.inner.tolist()]
        batch = self._batch(step, share, lambda index, _: self.pairs[members[index]], len(band.anchors))
        return replace(batch, widened=band.widened)


def _darken_border(both: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fade the distorted picture's outer one to four pixels to black, as filters with zero padding do.

    People hardly see it; a metric that has never met it takes it for heavy damage.
    """
    width = int(rng.integers(1, 5))
    height, breadth = both.shape[:2]
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in (height, breadth))
    depth = np.minimum(rows[:, None], columns[None, :])
    kept = np.clip((depth + rng.uniform(0.3, 0.95)) / width, 0, 1)[..., None]
    dark = both.copy()
    dark[..., :3] = (both[..., :3] * kept).astype(both.dtype)
    return dark


def _planes(images: list[np.ndarray], crop_setting: str | None) -> np.ndarray:
    """Pictures (H, W, 3) -> float32 (N, 3, H, W) in [0, 1]."""
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        (height, width, _), (other_height, other_width, _), *_ = sorted(sizes)
        raise ValueError(
            f"a batch of whole pictures needs one size, but there are {width}x{height} and "
            f"{other_width}x{other_height}: set {crop_setting}."
        )
    return np.ascontiguousarray(np.stack([to_float(image) for image in images]).transpose(0, 3, 1, 2))
