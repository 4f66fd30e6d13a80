"""Batches drawn from rated pairs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from birqa.images import load_image
from birqa.ratings import RatedPair


@dataclass(frozen=True)
class Batch:
    """dist, ref: uint8 (N, 3, H, W); mos: float32 (N,)."""

    dist: np.ndarray
    ref: np.ndarray
    mos: np.ndarray


class BatchSampler:
    """Batch k is a pure function of (seed, k), so a resumed run sees exactly what an unbroken one sees.

    A batch holds `batch // references_per_batch` distorted versions of each of `references_per_batch`
    references: PLCC then ranks distortions on the same content as well as across contents.
    """

    def __init__(
        self, pairs: list[RatedPair], batch: int, references_per_batch: int, crop: int, seed: int
    ) -> None:
        by_reference: dict[Path, list[RatedPair]] = {}
        for pair in pairs:
            by_reference.setdefault(pair.ref, []).append(pair)
        self.groups = list(by_reference.values())
        self.batch = batch
        self.references_per_batch = min(references_per_batch, len(self.groups))
        self.crop = crop
        self.seed = seed

    def __call__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.choice(len(self.groups), self.references_per_batch, replace=False)
        dist, ref, mos = [], [], []
        for index in range(self.batch):
            group = self.groups[chosen[index % self.references_per_batch]]
            pair = group[rng.integers(len(group))]
            reference, distorted = load_image(pair.ref), load_image(pair.dist)
            cropped = self._augment(np.concatenate([distorted, reference], axis=2), rng)
            dist.append(cropped[..., :3])
            ref.append(cropped[..., 3:])
            mos.append(pair.mos)
        return Batch(
            np.ascontiguousarray(np.stack(dist).transpose(0, 3, 1, 2)),
            np.ascontiguousarray(np.stack(ref).transpose(0, 3, 1, 2)),
            np.array(mos, np.float32),
        )

    def _augment(self, both: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = both.shape[:2]
        # Offsets in steps of 8 keep the block grid of JPEG-like codecs where it was.
        top = 8 * rng.integers((height - self.crop) // 8 + 1)
        left = 8 * rng.integers((width - self.crop) // 8 + 1)
        both = both[top : top + self.crop, left : left + self.crop]
        if rng.random() < 0.5:
            both = both[:, ::-1]
        if rng.random() < 0.5:
            both = both[::-1]
        if rng.random() < 0.5:
            both = both.transpose(1, 0, 2)
        return both
