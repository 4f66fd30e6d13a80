"""SROCC of models, clean and attacked, on 150 pairs of held-out photographs that no robustness card uses.

python checkpoints/read_attacked.py 256 birqa.kadid-aat checkpoints/birqa.kadid-aat-9-10
"""

import sys
from pathlib import Path

import numpy as np
import torch

from birqa.attacks.base import bidirectional
from birqa.attacks.fgsm import FGSM
from birqa.attacks.pgd import PGD
from birqa.engines.torch import load_module
from birqa.evaluation.agreement import spearman
from birqa.images import load_image, to_float
from birqa.ratings import read_rated_pairs
from birqa.registry import find_model

PAIRS, CHUNK = 150, 10


def main() -> None:
    crop = int(sys.argv[1])
    card = {pair.ref.stem for pair in read_rated_pairs(Path("build/sets/kadid-test/meta.csv"))}
    pool = sorted(
        (
            pair
            for pair in read_rated_pairs(Path("build/sets/kadid-test-all/meta.csv"))
            if pair.ref.stem not in card and "kodim" not in pair.ref.stem
        ),
        key=lambda pair: (pair.mos, pair.dist.name),
    )
    each = len(pool) // PAIRS
    drawn = np.random.default_rng(0).integers(0, each, PAIRS)
    chosen = [pool[index] for index in np.arange(PAIRS) * len(pool) // PAIRS + drawn]

    def middle(path: Path) -> torch.Tensor:
        picture = to_float(load_image(path))
        top, left = ((side - crop) // 2 for side in picture.shape[:2])
        return torch.from_numpy(picture[top : top + crop, left : left + crop].transpose(2, 0, 1).copy())

    dist = torch.stack([middle(pair.dist) for pair in chosen])
    ref = torch.stack([middle(pair.ref) for pair in chosen])
    mos = torch.tensor([pair.mos for pair in chosen])
    sign = bidirectional(mos)
    attacks = {"FGSM 8": (FGSM(), 8), **{f"PGD {at}": (PGD(step=at / 255 / 4), at) for at in (2, 4, 8)}}
    for name in sys.argv[2:]:
        module = load_module(find_model(name)).eval().requires_grad_(False)
        read = {"clean": []} | {label: [] for label in attacks}
        for part in torch.arange(PAIRS).split(CHUNK):
            tried = {"clean": dist[part]}
            for label, (attack, at) in attacks.items():
                (tried[label],) = attack(module, dist[part], ref[part], [at / 255], sign[part])
            with torch.no_grad():
                for label, pictures in tried.items():
                    read[label] += module(pictures, ref[part]).tolist()
        print(name, {label: round(spearman(np.array(all_), mos.numpy()), 3) for label, all_ in read.items()})


if __name__ == "__main__":
    main()
