"""What a no-reference score makes of a photograph in black and white.

    python benchmarks/blind_grey.py build/sets/clive.csv --out benchmarks/results/blind-grey.json

The test pictures of LIVE In the Wild as they are and with their luma in all three channels, which nobody has
rated. People do not find a photograph bad for want of colour.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import birqa
from birqa.evaluation.agreement import spearman
from birqa.files import replacing
from birqa.images import load_image
from birqa.ratings import read_rated_pictures

METRICS = ("blind.clive-kadid", "blind.clive")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="CSV with image,mos,split; split test is used")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    test = [one for one in read_rated_pictures(args.data) if one.split == "test"]
    ratings = np.array([one.mos for one in test])
    metrics = []
    for name in METRICS:
        metric = birqa.create_metric(name)
        model = metric.model
        scores = []
        for one in test:
            colour = load_image(one.image)
            grey = np.array(Image.fromarray(colour).convert("L").convert("RGB"))
            scores.append([float(metric(picture)[0]) for picture in (colour, grey)])
        coloured, drained = np.array(scores).T
        metrics.append(
            {
                "metric": model.name,
                "version": model.version,
                "weights": model.digest[:12],
                "mean": float(coloured.mean()),
                "mean_grey": float(drained.mean()),
                "lower": float((drained < coloured).mean()),
                "srocc": spearman(coloured, ratings),
                "srocc_grey": spearman(drained, ratings),
            }
        )
    record = {
        "command": "python benchmarks/blind_grey.py " + " ".join(sys.argv[1:]),
        "pictures": len(test),
        "metrics": metrics,
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
