"""Which types of distortion cost a metric its accuracy on a rated set, and how much?

    python benchmarks/cell_errors.py build/sets/tid2013/meta.csv --out benchmarks/results/cell-errors.json

Scores are brought to the scale of the ratings by the usual logistic curve. In one type after another the mean
score of each (type, level) cell is then replaced by the mean rating of that cell, as if the metric had known
it, while pictures of one cell keep the distances that the metric gives them. The gain in SROCC is what the
metric's error about the type as a whole costs; nothing is trained or chosen here.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import birqa
from birqa.batch import score_pairs
from birqa.data.distortions import TID2013
from birqa.evaluation.agreement import spearman
from birqa.evaluation.logistic import fit_logistic
from birqa.files import replacing
from birqa.pairing import Pair
from birqa.ratings import read_rated_pairs


def cell_means(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """(N,): each value's mean over its cell."""
    return np.asarray(np.bincount(cells, values) / np.bincount(cells))[cells]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("meta", type=Path)
    parser.add_argument("--metric", default="birqa")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = read_rated_pairs(args.meta)
    metric = birqa.create_metric(args.metric)
    results = score_pairs(metric, (Pair(row.ref, row.dist) for row in rows))
    scores = np.array([result.score for result in results], np.float64)
    ratings = np.array([row.mos for row in rows])
    types = np.array([int(row.type) for row in rows])
    _, cells = np.unique([f"{row.type}/{row.level}" for row in rows], return_inverse=True)

    guesses = fit_logistic(scores, ratings)(scores)
    bias = cell_means(guesses - ratings, cells)

    def known(chosen: list[int]) -> float:
        """SROCC where the means of these types' cells are right."""
        return spearman(np.where(np.isin(types, chosen), guesses - bias, guesses), ratings)

    kinds = sorted(set(types.tolist()))
    table = [
        {
            "type": kind,
            "name": TID2013[kind].name,
            "error": float(bias[types == kind].mean()),
            "srocc": known([kind]),
        }
        for kind in kinds
    ]
    dearest: list[int] = []
    for _ in range(2):
        dearest.append(max(set(kinds) - set(dearest), key=lambda kind: known([*dearest, kind])))
    record = {
        "metric": metric.info.name,
        "version": metric.info.version,
        "pairs": len(rows),
        "srocc": known([]),
        "types": table,
        "dearest": dearest,
        "without_dearest": known(dearest),
        "without_any": known(kinds),
        "ratings_of_cells_alone": spearman(cell_means(ratings, cells), ratings),
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: record[name] for name in record if name != "types"}))


if __name__ == "__main__":
    main()
