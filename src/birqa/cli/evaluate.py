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
    as_json: options.Json = False,
) -> None:
    """Correlate scores with human ratings: SROCC, PLCC, KROCC.

    Exit code 2 when a pair could not be scored; the others are still counted.
    """
    from birqa.batch import score_pairs
    from birqa.cli.score import naming, with_progress
    from birqa.evaluation.correlation import correlate
    from birqa.metric import create_metric
    from birqa.pairing import Pair
    from birqa.ratings import read_rated_pairs

    rated = read_rated_pairs(meta)
    scorer = create_metric(metric, engine=engine, device=device, threads=threads)
    results = score_pairs(scorer, (Pair(pair.ref, pair.dist) for pair in rated), resize)
    scores, mos = [], []
    for result, pair in zip(with_progress(results, len(rated)), rated, strict=True):
        if result.score is None:
            print(f"birqa: {naming(pair.dist, result.error or '')}", file=sys.stderr)
            continue
        scores.append(result.score)
        mos.append(pair.mos)
    agreement = correlate(scores, mos)
    if as_json:
        record = {
            "metric": scorer.info.name,
            "version": scorer.info.version,
            "data": str(meta),
            **asdict(agreement),
        }
        print(json.dumps(record, indent=1))
    else:
        print(
            f"{scorer.info.name} on {meta}: SROCC {agreement.srocc:.4f}  PLCC {agreement.plcc:.4f}  "
            f"KROCC {agreement.krocc:.4f}  n={agreement.n}"
        )
    raise typer.Exit(0 if len(scores) == len(rated) else 2)
