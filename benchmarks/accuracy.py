"""Agreement with human ratings, birqa beside classic metrics, on the same pairs in one run.

    python benchmarks/accuracy.py META.csv --out benchmarks/results/NAME.json

META.csv has ref,dist,mos (larger is better) and optionally type. Intervals are 95 % bootstrap percentiles
over references (1,000 resamples): all pairs of a reference are drawn together.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

import birqa
from birqa.batch import load_pair
from birqa.evaluation.correlation import correlate
from birqa.features import luma
from birqa.files import replacing
from birqa.pairing import Pair

RESAMPLES = 1000
Score = Callable[[np.ndarray, np.ndarray], float]


def on_tensors(metric: Callable[..., torch.Tensor], on_luma: bool) -> Score:
    def score(dist: np.ndarray, ref: np.ndarray) -> float:
        pair = [torch.from_numpy(x).permute(2, 0, 1)[None].float() / 255 for x in (dist, ref)]
        if on_luma:
            pair = [luma(x) for x in pair]
        return float(metric(*pair, data_range=1.0))

    return score


def metrics(name: str) -> dict[str, Score]:
    ours = birqa.create_metric(name)
    return {
        f"{ours.info.name} {ours.info.version}": lambda dist, ref: float(ours(dist, ref)[0]),
        "PSNR (RGB)": on_tensors(peak_signal_noise_ratio, on_luma=False),
        "PSNR (luma)": on_tensors(peak_signal_noise_ratio, on_luma=True),
        "SSIM (luma)": on_tensors(structural_similarity_index_measure, on_luma=True),
        "MS-SSIM (luma)": on_tensors(multiscale_structural_similarity_index_measure, on_luma=True),
    }


def interval(
    scores: np.ndarray, mos: np.ndarray, refs: np.ndarray, baseline: np.ndarray | None
) -> list[float]:
    """95 % interval of SROCC, or of its difference to that of `baseline` on the same resamples."""
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(refs == ref) for ref in np.unique(refs)]
    values = []
    for _ in range(RESAMPLES):
        picked = np.concatenate([groups[index] for index in rng.integers(len(groups), size=len(groups))])
        value = spearmanr(scores[picked], mos[picked]).statistic
        if baseline is not None:
            value -= spearmanr(baseline[picked], mos[picked]).statistic
        values.append(value)
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("meta", type=Path)
    parser.add_argument("--metric", default="birqa")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with options.meta.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    scorers = metrics(options.metric)
    scores: dict[str, list[float]] = defaultdict(list)
    for number, row in enumerate(rows):
        folder = options.meta.parent
        dist, ref = load_pair(Pair(folder / row["ref"], folder / row["dist"]))
        for name, score in scorers.items():
            scores[name].append(score(dist, ref))
        if number % 100 == 99:
            print(f"{number + 1}/{len(rows)}", flush=True)

    mos = np.array([float(row["mos"]) for row in rows])
    refs = np.array([row["ref"] for row in rows])
    types = np.array([row.get("type", "") for row in rows])
    ours = np.array(scores[next(iter(scorers))])
    table = []
    for name, values in scores.items():
        # An infinite PSNR (identical pictures) still ranks first.
        column = np.nan_to_num(np.array(values), posinf=100)
        agreement = correlate(column, mos)
        per_type = {
            kind: round(correlate(column[types == kind], mos[types == kind]).srocc, 4)
            for kind in sorted(set(types), key=lambda kind: (len(kind), kind))
            if kind
        }
        table.append(
            {
                "metric": name,
                "srocc": agreement.srocc,
                "srocc_95": interval(column, mos, refs, None),
                "plcc": agreement.plcc,
                "krocc": agreement.krocc,
                "ours_minus_this_95": interval(ours, mos, refs, column),
                "srocc_per_type": per_type,
            }
        )
    record = {
        "data": options.meta.parent.name,
        "pairs": len(rows),
        "references": len(set(refs)),
        "table": table,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(options.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n")
    for row in table:
        print(
            f"{row['metric']:<22} SROCC {row['srocc']:.4f}  PLCC {row['plcc']:.4f}  KROCC {row['krocc']:.4f}"
        )


if __name__ == "__main__":
    main()
