"""The no-reference metric on ten random 80/20 splits of LIVE In the Wild.

The statistics are those of the shipped weights, with which no rating has to do; the kernel regression is
fitted anew to each training part. Splits are those of blind_baselines.py.

    python benchmarks/blind_splits.py build/sets/clive.csv --out benchmarks/results/blind-splits.json

With --recipe and --damaged, as `birqa train-blind` takes them, each part is fitted with the damaged pictures.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from birqa.blind.config import SCALES
from birqa.blind.network import Blind
from birqa.blind.splits import eighty_twenty
from birqa.engines.torch import load_single
from birqa.evaluation.correlation import correlate
from birqa.files import replacing
from birqa.ratings import read_rated_pairs, read_rated_pictures
from birqa.registry import find_model
from birqa.training.blind import BlindRecipe, describe_damage, describe_pictures, fit_with_damage
from birqa.training.recipes import read_parts

SAME = [("246", "333")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="CSV with image,mos; its splits are not used")
    parser.add_argument("--metric", default="blind.clive")
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--damaged", type=Path)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    model = find_model(options.metric, "no-reference")
    module = load_single(model)
    assert isinstance(module, Blind)
    pictures = read_rated_pictures(options.data)
    training = read_parts(options.recipe, BlindRecipe()).training
    statistics = describe_pictures(
        module,
        [picture.image for picture in pictures],
        lambda done, total: print(f"{done} of {total}", file=sys.stderr, end="\r"),
        training.grey,
    )
    ratings = torch.tensor([picture.mos for picture in pictures])
    names = [picture.image.stem for picture in pictures]
    parts = np.cumsum([0, *model.config.groups])
    every = list(range(len(model.config.groups)))
    # Scales, tones and hues of the whole picture, the same of its centre, the layout.
    hues = SCALES + 1
    whole, centre = every[: hues + 1], every[hues + 1 : 2 * hues + 2]
    left_out = {
        "without the coarsest scale": [whole[SCALES - 1], centre[SCALES - 1]],
        "without hues": [whole[hues], centre[hues]],
        "without the centre": centre,
        "without the layout": [2 * hues + 2],
    }
    kinds = {"blind": every}
    damage = None
    if options.damaged:
        damaged = [pair for pair in read_rated_pairs(options.damaged) if pair.split == "train"]
        damage = describe_damage(module, training, damaged)
    else:
        kinds |= {kind: [group for group in every if group not in out] for kind, out in left_out.items()}
    results = {}
    for kind, groups in kinds.items():
        columns = np.concatenate([np.arange(parts[group], parts[group + 1]) for group in groups])
        sizes = [model.config.groups[group] for group in groups]
        rows = []
        for seed in range(options.splits):
            train, test = eighty_twenty(names, seed, SAME)
            fitted = fit_with_damage(statistics[train][..., columns], ratings[train], sizes, damage)
            scores = fitted(statistics[test][:, 0, columns]).clamp(0, 1)
            agreement = correlate(scores.tolist(), ratings[test].tolist())
            rows.append({"seed": seed, "srocc": agreement.srocc, "plcc": agreement.plcc})
            print(kind, rows[-1], file=sys.stderr)
        results[kind] = rows
    record = {
        "command": "python benchmarks/blind_splits.py " + " ".join(sys.argv[1:]),
        "metric": model.name,
        "version": model.version,
        "weights": model.fingerprint,
        "results": results,
    }
    with replacing(options.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for kind, rows in results.items():
        print(kind, *(round(float(np.median([row[name] for row in rows])), 4) for name in ("srocc", "plcc")))


if __name__ == "__main__":
    main()
