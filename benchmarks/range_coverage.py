"""Do the ranges that `birqa score --json` gives hold for people's ratings of pictures nobody calibrated on?

    python benchmarks/range_coverage.py build/sets/tid2013/meta.csv ../shared/data/ratings \
        --out benchmarks/results/range-coverage.json

`low` and `high` were calibrated on KADID-10k's mean ratings and their spread, on held-out photographs. Here
they meet the rating of each re-made picture of TID2013, brought to KADID-10k's scale by a line through the
distortions that both databases made alike (`birqa data common-scale`), and by the rating of an undistorted
picture to that of scores.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import birqa
from birqa.batch import score_pairs
from birqa.data.distortions import TID2013
from birqa.data.joining import find_common_scale
from birqa.evaluation.agreement import bootstrap_interval, resample_references
from birqa.files import replacing
from birqa.pairing import Pair
from birqa.ratings import read_rated_pairs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("meta", type=Path)
    parser.add_argument("ratings", type=Path, help="folder of tid2013.csv and kadid10k.csv")
    parser.add_argument("--metric", default="birqa")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = read_rated_pairs(args.meta)
    metric = birqa.create_metric(args.metric)
    scale = find_common_scale(args.ratings / "tid2013.csv", args.ratings / "kadid10k.csv")
    results = score_pairs(metric, (Pair(row.ref, row.dist) for row in rows))
    scores = np.array([result.score for result in results], np.float64)
    # KADID-10k's people of an undistorted picture, by which training divides its labels.
    best = metric.model.card["training"]["identity_mos"]
    ratings = np.clip([scale.to_kadid(row.mos) / best for row in rows], 0, 1)
    low, high = metric.interval(scores)
    inside = (low <= ratings) & (ratings <= high)
    types = np.array([int(row.type) for row in rows])
    samples = resample_references([str(row.ref) for row in rows], 1000, 0)
    record = {
        "command": "make benchmarks/results/range-coverage.json",
        "metric": metric.info.name,
        "version": metric.info.version,
        "pairs": len(rows),
        "references": len({row.ref for row in rows}),
        "promised": metric.interval.coverage,
        "inside": float(inside.mean()),
        "interval": bootstrap_interval(np.array([inside[sample].mean() for sample in samples])),
        "width": float((high - low).mean()),
        "too_low": float((ratings < low).mean()),
        "too_high": float((ratings > high).mean()),
        "by_type": {
            TID2013[kind].name: float(inside[types == kind].mean()) for kind in sorted(set(types.tolist()))
        },
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
