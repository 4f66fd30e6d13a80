"""Readings of hardened weights, by which legs of their training are chosen, on photographs that no card uses.

SROCC on the middle 256x256 of 150 rated pairs, clean and under FGSM and PGD (10 steps); and on 12 photographs
that benchmarks/outside.py and in_use.py leave alone too, falling, the share of the fine steps of a codec at
which the score falls, and restored, the mean gain of PSNR in dB where gradient on the score alone restores
them from blur and from noise, as benchmarks/in_use.py does, and the least.

    python benchmarks/readings.py birqa.kadid-aat runs/birqa.kadid-aat-11/model
"""

import csv
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from birqa.attacks.base import bidirectional
from birqa.attacks.fgsm import FGSM
from birqa.attacks.pgd import PGD
from birqa.codecs import through_codec
from birqa.engines.torch import load_module
from birqa.evaluation.agreement import spearman
from birqa.images import load_image, to_float
from birqa.ratings import read_rated_pairs
from birqa.registry import find_model
from in_use import DEGRADATIONS, restore

PAIRS, CHUNK, SIDE = 150, 10, 256
PHOTOGRAPHS = Path("../shared/data/refs384")
OUTSIDE = 12
"""So many of the test photographs benchmarks/outside.py takes, the first by name."""
QUALITIES = {
    "JPEG": (97, 93, 89, 85, 81, 77, 73, 70),
    "WEBP": (97, 93, 89, 85, 81, 77, 73, 70),
    "AVIF": (90, 85, 80, 75, 70, 65, 60, 50),
}
DEGRADED, RESTORED_SIDE, RESTORING_STEPS, RATE = ("blur", "noise"), 192, 150, 0.002


def photographs(cards: set[str]) -> list[np.ndarray]:
    """Test photographs that neither cards, whose references are given, nor benchmarks/outside.py use."""
    with (PHOTOGRAPHS / "manifest.csv").open(newline="", encoding="utf-8") as file:
        names = sorted(row["file"] for row in csv.DictReader(file) if row["split"] == "test")[OUTSIDE:]
    free = [name for name in names if Path(name).stem not in cards]
    chosen = np.random.default_rng(3).choice(len(free), 12, replace=False)
    return [load_image(PHOTOGRAPHS / free[index]) for index in chosen]


def falling(module: nn.Module, pictures: list[np.ndarray], codec: str) -> float:
    steps: list[bool] = []
    for picture in pictures:
        scores = []
        for quality in QUALITIES[codec]:
            stored = through_codec(picture, codec, quality=quality)
            with torch.no_grad():
                scores.append(float(module(planes(stored)[None], planes(picture)[None])))
        steps += [before > after for before, after in pairwise(scores)]
    return float(np.mean(steps))


def restored(module: nn.Module, pictures: list[np.ndarray], degradation: str) -> np.ndarray:
    """Gain in dB of each picture."""
    refs = [to_float(picture[:RESTORED_SIDE, :RESTORED_SIDE]) for picture in pictures]
    start = torch.stack([planes(DEGRADATIONS[degradation](ref).astype(np.float32)) for ref in refs])
    ref = torch.stack([planes(ref) for ref in refs])
    end = restore(module, start, ref, RESTORING_STEPS, RATE)
    errors = [(torch.round(one * 255) / 255 - ref).square().flatten(1).mean(1) for one in (start, end)]
    return 10 * torch.log10(errors[0] / errors[1]).numpy()


def planes(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(to_float(picture).transpose(2, 0, 1).copy())


def main() -> None:
    cards = {pair.ref.stem for pair in read_rated_pairs(Path("build/sets/kadid-test/meta.csv"))}
    pictures = photographs(cards)
    pool = sorted(
        (
            pair
            for pair in read_rated_pairs(Path("build/sets/kadid-test-all/meta.csv"))
            if pair.ref.stem not in cards
        ),
        key=lambda pair: (pair.mos, pair.dist.name),
    )
    each = len(pool) // PAIRS
    drawn = np.random.default_rng(0).integers(0, each, PAIRS)
    chosen = [pool[index] for index in np.arange(PAIRS) * len(pool) // PAIRS + drawn]

    def middle(path: Path) -> torch.Tensor:
        picture = load_image(path)
        top, left = ((side - SIDE) // 2 for side in picture.shape[:2])
        return planes(picture[top : top + SIDE, left : left + SIDE])

    dist = torch.stack([middle(pair.dist) for pair in chosen])
    ref = torch.stack([middle(pair.ref) for pair in chosen])
    mos = torch.tensor([pair.mos for pair in chosen])
    sign = bidirectional(mos)
    attacks = {"FGSM 8": (FGSM(), 8), **{f"PGD {at}": (PGD(step=at / 255 / 4), at) for at in (2, 4, 8)}}
    for name in sys.argv[1:]:
        module = load_module(find_model(name)).eval().requires_grad_(False)
        read = {"clean": []} | {label: [] for label in attacks}
        for part in torch.arange(PAIRS).split(CHUNK):
            tried = {"clean": dist[part]}
            for label, (attack, at) in attacks.items():
                (tried[label],) = attack(module, dist[part], ref[part], [at / 255], sign[part])
            with torch.no_grad():
                for label, tries in tried.items():
                    read[label] += module(tries, ref[part]).tolist()
        found = {label: spearman(np.array(scores), mos.numpy()) for label, scores in read.items()}
        found |= {f"falling {codec}": falling(module, pictures, codec) for codec in QUALITIES}
        for degradation in DEGRADED:
            gains = restored(module, pictures, degradation)
            found |= {f"restored {degradation}": gains.mean(), f"{degradation}, least": gains.min()}
        print(name, {label: round(float(value), 3) for label, value in found.items()}, flush=True)


if __name__ == "__main__":
    main()
