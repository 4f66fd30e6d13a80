"""Readers of the sets in which people chose the closer of two pictures."""

from pathlib import Path, PurePosixPath

import numpy as np

from birqa.data.sets.tables import Files, MissingError, number, read_rows, read_text
from birqa.ratings import SPLITS, Judgement


def read_bapps(root: Path) -> list[Judgement]:
    """2afc/{train,val}/SUBSET/{ref,p0,p1}/NUMBER.png; judge/NUMBER.npy holds the share that chose p1."""
    base = root / "2afc" if (root / "2afc").is_dir() else root
    subsets = [
        (split, judge.parent)
        for split in ("train", "val")
        for judge in sorted((base / split).glob("*/judge"))
    ]
    if not subsets:
        raise MissingError(f"{base} lacks val/traditional/judge and the like")
    judgements = []
    for split, subset in subsets:
        there = {kind: {path.name for path in (subset / kind).glob("*.png")} for kind in ("ref", "p0", "p1")}
        for table in sorted((subset / "judge").glob("*.npy")):
            name = f"{table.stem}.png"
            if lacking := [kind for kind in there if name not in there[kind]]:
                raise MissingError(f"{subset} lacks {lacking[0]}/{name}")
            ref, left, right = (subset / kind / name for kind in there)
            judgements.append(Judgement(ref, left, right, _judgement(table), split, subset.name))
    return judgements


def read_pieapp_pairs(root: Path) -> list[Judgement]:
    """All judged pairs, in the published parts. In the training and validation part the probability that the
    authors estimated counts, because not every pair was shown to people; pairs without any are left out. In
    the test part the reference itself is among the pictures judged."""
    files = Files(root)
    judgements = []
    for split in SPLITS:
        for name in read_text(files.find(f"{split}_reference_list.txt")).split():
            stem = PurePosixPath(name).stem
            table = files.find(f"labels/{split}/{stem}_pairwise_labels.csv")
            ref = files.find(f"reference_images/{split}/{name}")
            for line, row in read_rows(table, ("distorted image A", "distorted image B")):
                left, right = (
                    ref
                    if row[f"distorted image {side}"] == name
                    else files.find(f"distorted_images/{split}/{stem}/{row[f'distorted image {side}']}")
                    for side in "AB"
                )
                # The names of these columns differ between the parts, their order does not.
                _, _, _, *shares = row.values()
                share = next((share for share in reversed(shares) if share), "")
                if share:
                    prefers_left = number(table, line, share, "the preference")
                    if not 0 <= prefers_left <= 1:
                        raise ValueError(f"{table}, line {line}: the preference {share} is not in 0..1.")
                    judgements.append(Judgement(ref, left, right, 1 - prefers_left, split))
    return judgements


def _judgement(path: Path) -> float:
    try:
        values = np.load(path, allow_pickle=False).ravel()
    except (ValueError, EOFError):
        values = np.empty(0)
    if values.size != 1 or not 0 <= values[0] <= 1:
        raise ValueError(f"{path} does not hold one number in 0..1.")
    return float(values[0])
