"""Do the people of KADID-10k and of TID2013 agree, and what can that cost a metric trained on KADID-10k?

    python benchmarks/two_databases.py ../shared/data/ratings --out benchmarks/results/two-databases.json

Reads the two tables of ratings alone: no picture, no metric. A line through the distortions that both
databases made alike (`birqa data common-scale`) takes TID2013's ratings to KADID-10k's scale. Two more
distortions are in both, contrast and mean shift; of these the table shows what either database's people said
at the same strength. Then a metric that knew the mean rating of every cell of TID2013 (its people's own, so
better than any metric trained elsewhere could) is asked what it would lose if it believed KADID-10k's people
about these two.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from birqa.data.distortions import KADID10K, LEVELS, TID2013
from birqa.data.joining import find_common_scale
from birqa.data.synthesis import read_cells
from birqa.evaluation.agreement import spearman
from birqa.files import replacing

CONTRAST, MEAN_SHIFT = (17, 25), (16, 18)
"""Types of TID2013 and of KADID-10k."""


def contrast_of(amount: float) -> float:
    """The factor by which KADID-10k's curve stretches the middle tones, 0.3 to 0.7."""
    ramp = np.repeat(np.array([[0.3], [0.7]], np.float32)[..., None], 3, axis=2)
    low, high = KADID10K[CONTRAST[1]].function(ramp, amount, np.random.default_rng(0))[:, 0, 0]
    return float(high - low) / 0.4


def said_by_kadid(kadid: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """KADID-10k's people on each cell of TID2013's contrast and mean shift, between their own levels."""
    shifts = sorted(
        zip(KADID10K[MEAN_SHIFT[1]].strengths, (kadid[MEAN_SHIFT[1], k] for k in LEVELS), strict=True)
    )
    # A contrast of 1 leaves the picture as it is, and so does a mean shift of 0.
    unchanged = dict(shifts)[0]
    factors = [contrast_of(amount) for amount in KADID10K[CONTRAST[1]].strengths]
    contrasts = sorted(
        [*zip(factors, (kadid[CONTRAST[1], k] for k in LEVELS), strict=True), (1.0, unchanged)]
    )
    return {
        (tid_type, level): float(np.interp(strength, *zip(*known, strict=True)))
        for (tid_type, _), known in ((CONTRAST, contrasts), (MEAN_SHIFT, shifts))
        for level, strength in zip(LEVELS, TID2013[tid_type].strengths, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ratings", type=Path, help="folder of tid2013.csv and kadid10k.csv")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tables = args.ratings / "tid2013.csv", args.ratings / "kadid10k.csv"
    scale = find_common_scale(*tables)
    tid, kadid = ({cell: mean for cell, (mean, _) in read_cells(path).items()} for path in tables)

    believed = said_by_kadid(kadid)
    with tables[0].open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["ref"]) < 25]
    ratings = np.array([scale.to_kadid(float(row["quality"])) for row in rows])

    def knows(*types: int) -> float:
        """SROCC of TID2013's cell means with its ratings; `types` are as KADID-10k's people see them."""
        cells = {cell: scale.to_kadid(mean) for cell, mean in tid.items()}
        cells |= {cell: rating for cell, rating in believed.items() if cell[0] in types}
        return spearman(np.array([cells[int(row["type"]), int(row["level"])] for row in rows]), ratings)

    def row(kind: int, level: int, told_by_kadid: float) -> dict[str, object]:
        return {
            "type": TID2013[kind].name,
            "strength": TID2013[kind].strengths[level - 1],
            "tid2013": scale.to_kadid(tid[kind, level]),
            "kadid10k": told_by_kadid,
        }

    record = {
        "worst": scale.worst,
        "best": scale.best,
        "error": scale.error,
        "common": [row(kind, level, told_by_kadid) for kind, level, _, told_by_kadid in scale.points],
        "apart": [row(*cell, told_by_kadid) for cell, told_by_kadid in sorted(believed.items())],
        "cell_means": knows(),
        "contrast_as_kadid": knows(CONTRAST[0]),
        "contrast_and_mean_shift_as_kadid": knows(CONTRAST[0], MEAN_SHIFT[0]),
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: record[name] for name in record if name not in ("common", "apart")}))


if __name__ == "__main__":
    main()
