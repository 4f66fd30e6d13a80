"""Do no-reference scores see damage? Of held-out photographs with KADID-10k's distortions: plain scores, and
those that `birqa certify` would give, medians of some draws under noise.

    python benchmarks/blind_damage.py build/sets/kadid-test/meta.csv \
        --out benchmarks/results/blind-damage.json

Two questions: do scores agree with the ratings over all pictures, and, of two pictures of one photograph with
one distortion, has the better rated one the higher score?
"""

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import birqa
from birqa.certify.noise import Noise
from birqa.certify.smoothed import score_draws
from birqa.certify.smoothing import quantile_score
from birqa.certify.subject import CERTIFIED, create_subject
from birqa.evaluation.agreement import bootstrap_interval, resample_references, spearman
from birqa.files import replacing
from birqa.images import load_image
from birqa.ratings import RatedPair, read_rated_pairs
from birqa.registry import find_model

RESAMPLES = 1000
METRICS = ("blind.clive-kadid", "blind.clive")
SMOOTHED = ("blind.clive-kadid-denoised", CERTIFIED)


def ordered_rightly(scores: np.ndarray, rows: list[RatedPair], wanted: str | None = None) -> float:
    """The share, of all types or of one."""
    groups: dict[tuple[Path, str], list[int]] = {}
    for index, row in enumerate(rows):
        if wanted in (None, row.type):
            groups.setdefault((row.ref, row.type), []).append(index)
    right = [
        (scores[one] - scores[other]) * (rows[one].mos - rows[other].mos) > 0
        for members in groups.values()
        for one, other in combinations(members, 2)
        if rows[one].mos != rows[other].mos
    ]
    return float(np.mean(right))


def plain_scores(name: str, rows: list[RatedPair]) -> np.ndarray:
    metric = birqa.create_metric(name)
    return np.array([float(metric(load_image(row.dist)).item()) for row in rows])


def smoothed_scores(name: str, rows: list[RatedPair], sigma: float, draws: int, threads: int) -> np.ndarray:
    subject, noise = create_subject(name, threads=threads), Noise("discrete", sigma, seed=2026)
    return np.array(
        [
            quantile_score(
                score_draws(
                    subject.score,
                    load_image(row.dist),
                    noise,
                    range(draws),
                    bytes_per_pixel=subject.bytes_per_pixel,
                )
            )
            for row in rows
        ]
    )


def measure(name: str, scores: np.ndarray, rows: list[RatedPair]) -> dict[str, Any]:
    model = find_model(name, "no-reference")
    ratings = np.array([row.mos for row in rows])
    drawn = resample_references([str(row.ref) for row in rows], RESAMPLES, 0)
    types = sorted({row.type for row in rows}, key=int)
    return {
        "metric": model.name,
        "version": model.version,
        "weights": model.digest[:12],
        "srocc": spearman(scores, ratings),
        "srocc_interval": bootstrap_interval([spearman(scores[some], ratings[some]) for some in drawn]),
        "ordered_rightly": ordered_rightly(scores, rows),
        "ordered_rightly_by_type": {kind: ordered_rightly(scores, rows, kind) for kind in types},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="meta.csv of `birqa data kadid`")
    parser.add_argument("--sigma", type=float, default=0.12, help="of the noise under which it is smoothed")
    parser.add_argument("--draws", type=int, default=4, help="for a smoothed score")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = read_rated_pairs(args.data)
    smoothed = [
        measure(name, smoothed_scores(name, rows, args.sigma, args.draws, args.threads), rows)
        for name in SMOOTHED
    ]
    record = {
        "command": "python benchmarks/blind_damage.py " + " ".join(sys.argv[1:]),
        "pairs": len(rows),
        "references": len({row.ref for row in rows}),
        "metrics": [
            *(measure(name, plain_scores(name, rows), rows) for name in METRICS),
            *(one | {"sigma": args.sigma, "draws": args.draws} for one in smoothed),
        ],
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
