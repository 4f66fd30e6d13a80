"""One training table from two that were rated on different scales."""

import csv
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from birqa.data.distortions import KADID10K, LEVELS, TID2013
from birqa.data.synthesis import read_cells
from birqa.files import relative_path, replacing, same_content
from birqa.ratings import RatedPair, check_leakage, check_repeats, read_rated_pairs, rescaled, std_text

COLUMNS = ("ref", "dist", "mos", "type", "level", "split", "std", "weight")

# Type of TID2013 and type of KADID-10k that are the same distortion with the same parameter.
SAME_DISTORTIONS = {8: 1, 10: 10, 1: 11}


@dataclass(frozen=True)
class CommonScale:
    """The line that takes TID2013's ratings to KADID-10k's scale, and what it was fitted to."""

    worst: float
    """The rating of TID2013 that is 0 on KADID-10k's scale."""
    best: float
    """The rating of TID2013 that is 1 on KADID-10k's scale."""
    points: tuple[tuple[int, int, float, float], ...]
    """Type and level of TID2013, its mean rating, and KADID-10k's mean rating of the same distortion."""

    def to_kadid(self, rating: float) -> float:
        """A rating of TID2013 on KADID-10k's scale."""
        return (rating - self.worst) / (self.best - self.worst)

    @property
    def error(self) -> float:
        """Root mean square of what the line misses, on KADID-10k's scale."""
        misses = [self.to_kadid(tid) - kadid for _, _, tid, kadid in self.points]
        return float(np.sqrt(np.mean(np.square(misses))))


def find_common_scale(tid2013: Path, kadid10k: Path) -> CommonScale:
    """Fit a line through the distortions that people rated in both databases (CSV: ref,type,level,quality).

    Gaussian blur, JPEG and white noise have the same parameter in both. KADID-10k's mean rating at a
    strength of TID2013 is interpolated between its own levels, linearly in the logarithm of the strength;
    strengths beyond its levels are left out. No metric takes part. Raises ValueError where a rating that is
    needed is missing.
    """
    tid = read_cells(tid2013, SAME_DISTORTIONS)
    kadid = read_cells(kadid10k, SAME_DISTORTIONS.values())
    points = []
    for tid_type, kadid_type in SAME_DISTORTIONS.items():
        known = sorted(
            (float(np.log(strength)), kadid[kadid_type, level][0])
            for level, strength in zip(LEVELS, KADID10K[kadid_type].strengths, strict=True)
        )
        strengths, ratings = zip(*known, strict=True)
        for level, strength in zip(LEVELS, np.log(TID2013[tid_type].strengths), strict=True):
            if strengths[0] <= strength <= strengths[-1]:
                equal = float(np.interp(strength, strengths, ratings))
                points.append((tid_type, level, tid[tid_type, level][0], equal))
    slope, offset = np.polyfit([point[2] for point in points], [point[3] for point in points], 1)
    return CommonScale(float(-offset / slope), float((1 - offset) / slope), tuple(points))


def join_tables(
    table: Path, added: Path, out: Path, *, mos_range: tuple[float, float] = (0.0, 1.0), share: float
) -> Path:
    """Write the rows of `table`, and those of `added` as training rows that fill `share` of the draws.

    A batch holds each reference once, so that a few added ones fill less than a large share.
    `mos_range` gives the ratings of `added` that are 0 and 1 on the scale of `table`; what falls below 0
    becomes 0. Paths are relative to `out`. Raises ValueError for a share outside (0, 1), an empty range,
    ratings far off the scale, a pair that both tables have, where no row of `table` is for training, or where
    a reference of its other splits, or a copy of one, would be trained on.
    """
    worst, best = mos_range
    if not 0 < share < 1:
        raise ValueError(f"share={share:g} should be between 0 and 1.")
    rows, new = read_rated_pairs(table), rescaled(read_rated_pairs(added), worst, best)
    # What one reference is drawn in proportion to: see `BatchSampler`.
    weights: dict[Path, list[float]] = {}
    for row in rows:
        if row.split == "train":
            weights.setdefault(row.ref, []).append(row.weight)
    drawn = sum(statistics.mean(some) for some in weights.values())
    if not weights:
        raise ValueError(f"{table}: no row has the split train, so there is nothing to join.")
    for path, some in ((table, rows), (added, new)):
        # A little beyond 1 is a picture that people like better than the mean of undistorted ones.
        outside = [row.mos for row in some if not -1 <= row.mos <= 1.5]
        if outside:
            raise ValueError(
                f"{path}: {len(outside)} ratings are off the scale 0..1, for example {outside[0]:g}: say "
                "what 0 and 1 are on the added table's own scale (--mos-range)."
            )
    weight = share / (1 - share) * drawn / len({row.ref for row in new})
    joined = [*rows, *(replace(row, split="train", weight=weight, mos=max(0.0, row.mos)) for row in new)]
    # Sets that are made from the same photographs hold copies of them.
    one_path = same_content(row.ref for row in joined)
    check_leakage([replace(row, ref=one_path[row.ref]) for row in joined])
    check_repeats(joined, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_row(row, out) for row in joined)
    return out


def _row(pair: RatedPair, out: Path) -> Sequence[str]:
    ref, dist = (relative_path(path, out.parent) for path in (pair.ref, pair.dist))
    labels = (f"{pair.mos:.6f}", pair.type, pair.level, pair.split, std_text(pair.std), f"{pair.weight:g}")
    return ref, dist, *labels
