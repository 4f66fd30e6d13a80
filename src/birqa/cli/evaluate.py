"""birqa eval: agreement of a metric with human ratings."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from birqa.cli import options


def command(
    meta: Annotated[
        Path, typer.Argument(help="CSV with ref,dist,mos; paths relative to it; larger mos is better.")
    ],
    metric: options.Metric = "birqa",
    engine: options.Engine = "auto",
    device: options.Device = None,
    threads: options.Threads = None,
    resize: options.Resize = "none",
    background: options.Background = "0.5",
    split: Annotated[
        str | None, typer.Option(help="Only the rows of this split: train, val or test.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Correlate scores with human ratings: SROCC, PLCC, KROCC.

    Exit code 2 when a pair could not be scored; the others are still counted.
    """
    from birqa.batch import score_pairs
    from birqa.evaluation.correlation import correlate, require_scipy
    from birqa.metric import create_metric
    from birqa.pairing import Pair
    from birqa.ratings import read_rated_pairs

    require_scipy()
    levels = options.parse_background(background)
    rated = [pair for pair in read_rated_pairs(meta) if split in (None, pair.split)]
    if not rated:
        raise ValueError(f"{meta} has no rows with split {split}.")
    scorer = create_metric(metric, engine=engine, device=device, threads=threads)
    results = score_pairs(scorer, (Pair(pair.ref, pair.dist) for pair in rated), resize, levels)
    scores, mos = [], []
    for result, pair in zip(options.with_progress(results, len(rated)), rated, strict=True):
        if result.score is None:
            print(f"birqa: {options.naming(pair.dist, result.error or '')}", file=sys.stderr)
            continue
        scores.append(result.score)
        mos.append(pair.mos)
    agreement = correlate(scores, mos)
    if as_json:
        record = {
            "metric": scorer.info.name,
            "version": scorer.info.version,
            "settings": {**scorer.settings, "resize": resize, "background": list(levels)},
            "data": str(meta),
            "split": split,
            **asdict(agreement),
            "failed": len(rated) - len(scores),
        }
        print(json.dumps(record, indent=1))
    else:
        print(
            f"{scorer.info.name} on {meta}: SROCC {agreement.srocc:.4f}  PLCC {agreement.plcc:.4f}  "
            f"KROCC {agreement.krocc:.4f}  n={agreement.n}"
        )
    raise typer.Exit(0 if len(scores) == len(rated) else 2)
