"""Do certified intervals miss as seldom as they say? By simulation, where the truth is known.

    python benchmarks/coverage.py --out benchmarks/results/coverage.json

The metric is one sample of the picture, so its median under noise is known exactly, and so is the worst that
a perturbation of the radius can do to that: to shift the sample by the whole radius. Intervals are made by
`birqa.certify.smoothing`, from fresh draws in each trial; each end of one may miss with half of alpha.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from birqa.certify.smoothing import find_ranks
from birqa.files import replacing

TRIALS = 40_000
CASES = tuple(
    (n, shift, alpha) for alpha in (0.1, 0.01, 0.001) for n in (100, 1000) for shift in (0.0, 0.2, 0.42, 1.0)
)
CHUNK = 2000


def missed(n: int, shift: float, alpha: float) -> tuple[float, float]:
    """Shares of the trials in which a shift by so many deviations leaves the interval, below and above."""
    ranks = find_ranks(n, 1.0, shift, alpha)
    assert ranks.lower is not None, "so few draws bound nothing"
    assert ranks.upper is not None, "so few draws bound nothing"
    rng = np.random.default_rng(0)
    below = above = 0
    for _ in range(TRIALS // CHUNK):
        draws = np.sort(rng.standard_normal((CHUNK, n)), axis=1)
        below += int((draws[:, ranks.lower - 1] > -shift).sum())
        above += int((draws[:, ranks.upper - 1] < shift).sum())
    return below / TRIALS, above / TRIALS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = []
    for n, shift, alpha in CASES:
        found = missed(n, shift, alpha)
        rows.append({"n": n, "shift": shift, "alpha": alpha, "missed": found})
        print(json.dumps(rows[-1]), flush=True)
    record = {"command": "make benchmarks/results/coverage.json", "trials": TRIALS, "rows": rows}
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
