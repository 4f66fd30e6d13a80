"""What a denoiser that knows the metric is worth, on several test parts of LIVE In the Wild.

Each split has a metric and denoisers of its own, trained on its training part alone. MS, DMS and DMS+rank as
in certificates.py, whose cache may be shared; accuracy only.

    python benchmarks/certificate_splits.py --cache runs/certificates.jsonl --out FILE \
        --split build/sets/clive.csv blind.clive runs/denoiser.mse-2/model denoiser.blind
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from birqa.certify.smoothing import quantile_score
from birqa.evaluation.agreement import bootstrap_interval, spearman
from birqa.evaluation.correlation import correlate
from birqa.files import KeptResults, replacing
from birqa.ratings import RatedPicture, read_rated_pictures
from certificates import RESAMPLES, Task, identity, run

METHODS = ("MS", "DMS", "DMS+rank")
BEST = METHODS[-1]
Scores = dict[str, np.ndarray]
"""Of each method, over the test pictures of a split."""


def differences(splits: list[tuple[list[RatedPicture], Scores]]) -> dict[str, Any]:
    """SROCC of `BEST` minus that of each other method: in each split, and the mean over splits.

    Pictures are drawn with replacement from those that any split tests, and count in every split they are in:
    test parts share some, so that splits are not independent.
    """
    names = sorted({picture.image.name for pictures, _ in splits for picture in pictures})
    drawn = np.random.default_rng(0).integers(len(names), size=(RESAMPLES, len(names)))
    counts = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])
    # Of each split and method, SROCC as it is and on every resample.
    whole: list[dict[str, float]] = []
    resampled: list[dict[str, np.ndarray]] = []
    for pictures, scores in splits:
        ratings = np.array([picture.mos for picture in pictures])
        places = [names.index(picture.image.name) for picture in pictures]
        rows = [np.repeat(np.arange(len(places)), row[places]) for row in counts]
        whole.append({method: spearman(values, ratings) for method, values in scores.items()})
        resampled.append(
            {
                method: np.array([spearman(values[row], ratings[row]) for row in rows])
                for method, values in scores.items()
            }
        )
    found: dict[str, Any] = {}
    for other in METHODS[:-1]:
        gaps = [one[BEST] - one[other] for one in whole]
        resampled_gaps = [one[BEST] - one[other] for one in resampled]
        found[other] = {
            "gaps": gaps,
            "intervals": [bootstrap_interval(values) for values in resampled_gaps],
            "mean": float(np.mean(gaps)),
            "mean_interval": bootstrap_interval(np.mean(resampled_gaps, axis=0)),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--split",
        nargs=4,
        action="append",
        required=True,
        metavar=("DATA", "METRIC", "MSE", "RANK"),
        help="CSV with image,mos,split; split test is used; may be given again",
    )
    parser.add_argument("--sigma", type=float, nargs="+", default=[0.12, 0.25])
    parser.add_argument("--draws", type=int, default=16, help="for the smoothed score of whole pictures")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    kept: KeptResults[list[float]] = KeptResults(options.cache)
    tests = [
        [one for one in read_rated_pictures(Path(data)) if one.split == "test"] for data, *_ in options.split
    ]
    methods = [
        dict(zip(METHODS, ((metric, "none"), (metric, mse), (metric, rank)), strict=True))
        for _, metric, mse, rank in options.split
    ]

    def tasks(number: int, method: str, sigma: float) -> list[Task]:
        pair = methods[number][method]
        return [Task(pair, sigma, str(one.image), 0, options.draws) for one in tests[number]]

    settings = [
        (number, method, sigma)
        for number in range(len(tests))
        for method in METHODS
        for sigma in options.sigma
    ]
    results = run([task for one in settings for task in tasks(*one)], kept, options.workers)
    record: dict[str, Any] = {
        "command": "python benchmarks/certificate_splits.py " + " ".join(sys.argv[1:]),
        "draws": options.draws,
        "splits": [
            {
                "data": data,
                "test_pictures": len(test),
                "weights": {method: identity(pair) for method, pair in of.items()},
            }
            for (data, *_), test, of in zip(options.split, tests, methods, strict=True)
        ],
        "sigma": {},
    }
    for sigma in options.sigma:
        smoothed: list[tuple[list[RatedPicture], Scores]] = []
        accuracy = []
        for number, test in enumerate(tests):
            scores = {
                method: np.array([quantile_score(results[task]) for task in tasks(number, method, sigma)])
                for method in METHODS
            }
            smoothed.append((test, scores))
            ratings = [one.mos for one in test]
            agreements = {method: correlate(values.tolist(), ratings) for method, values in scores.items()}
            accuracy.append(
                {method: {"srocc": one.srocc, "plcc": one.plcc} for method, one in agreements.items()}
            )
        record["sigma"][str(sigma)] = {"accuracy": accuracy, "ahead_of": differences(smoothed)}
    with replacing(options.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
