"""How much does a score change where both pictures of a pair are cut a few pixels further in?

People would hardly see it. What changes is how the pictures lie on the cells and patches of the network,
and a border of some pixels. On rated pairs, for the shipped weights and for classic metrics beside them.

    python benchmarks/cuts.py build/sets/tid2013/meta.csv --out benchmarks/results/cuts.json
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import birqa
from birqa.evaluation.scoring import score_all_by_peers
from birqa.files import replacing
from birqa.images import load_image
from birqa.pairing import Pair
from birqa.ratings import read_rated_pairs
from birqa.robustness.subset import stratified

PEERS = ("torchmetrics:ssim", "piq:mdsi", "piq:vsi")
CUTS = ((0, 0), (0, 4), (4, 0), (0, 8), (8, 0), (8, 8), (16, 16))
"""Rows above and columns to the left that are cut away; below and to the right so many that all are of one
size."""
QUANTILES = (0.5, 0.9, 0.99)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    chosen = stratified(read_rated_pairs(args.data), args.pairs)
    specs = (*birqa.list_metrics("full-reference"), *PEERS)
    largest = max(max(cut) for cut in CUTS)
    with tempfile.TemporaryDirectory() as folder:
        pairs = []
        for number, pair in enumerate(chosen):
            for cut, (up, left) in enumerate(CUTS):
                files = []
                for side in ("ref", "dist"):
                    pixels = load_image(getattr(pair, side))
                    height, width = (length - largest for length in pixels.shape[:2])
                    files.append(Path(folder) / f"{number}_{cut}_{side}.bmp")
                    Image.fromarray(pixels[up : up + height, left : left + width]).save(files[-1])
                pairs.append(Pair(*files))
        scores = score_all_by_peers(pairs, specs, Path(folder) / "peers.jsonl", args.workers)
    scores = scores.reshape(len(chosen), len(CUTS), len(specs))
    rows = []
    for at, spec in enumerate(specs):
        spread = np.ptp(scores[..., at], axis=1)
        # Scales differ: what counts is the change beside what sets pictures apart.
        scale = float(scores[:, 0, at].std())
        rows.append(
            {
                "metric": spec,
                "scale": scale,
                "spread": {str(quantile): float(np.quantile(spread, quantile)) for quantile in QUANTILES},
                "most": float(spread.max()),
            }
        )
        print(json.dumps(rows[-1]))
    info = birqa.create_metric("birqa").info
    record = {
        "metric": info.name,
        "version": info.version,
        "pairs": len(chosen),
        "cuts": CUTS,
        "rows": rows,
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
