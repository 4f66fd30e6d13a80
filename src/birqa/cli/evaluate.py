"""birqa eval: agreement of metrics with human ratings."""

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from birqa.cli import options

if TYPE_CHECKING:
    import numpy as np

    from birqa.evaluation.agreement import Study
    from birqa.pairing import Pair


def command(
    meta: Annotated[
        Path,
        typer.Argument(
            help="CSV with ref,dist,mos[,split,type,level]; paths relative to it; larger is better."
        ),
    ],
    metric: options.Metric = "birqa",
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Another metric beside it: a birqa metric, piq:vsi, torchmetrics:ms-ssim, pyiqa:topiq_fr, "
            "python:module:function, csv:scores.csv or command:tool {ref} {dist}; - in front where smaller "
            "is better. Repeat for more."
        ),
    ] = None,
    engine: options.Engine = "auto",
    device: options.Device = None,
    threads: options.Threads = None,
    resize: options.Resize = "none",
    background: options.Background = "0.5",
    split: Annotated[
        str | None, typer.Option(help="Only the rows of this split: train, val or test.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=2, help="Bootstrap resamples, over references.")] = 1000,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes for peers; default one a core.")
    ] = None,
    scores_file: Annotated[
        Path | None, typer.Option("--scores", help="Write every score to this CSV file.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Correlate scores with human ratings: SROCC, KROCC, PLCC, RMSE, with 95 % intervals, beside peers.

    Exit code 2 when a pair could not be scored; it is left out for every metric, and the others are counted.
    """
    import numpy as np

    from birqa.batch import score_pairs
    from birqa.evaluation.agreement import study_agreement
    from birqa.evaluation.correlation import require_scipy
    from birqa.evaluation.scoring import score_by_peers
    from birqa.metric import create_metric
    from birqa.pairing import Pair
    from birqa.ratings import read_rated_pairs

    require_scipy()
    levels = options.parse_background(background)
    options.check_output(scores_file)
    rated = [pair for pair in read_rated_pairs(meta) if split in (None, pair.split)]
    if not rated:
        raise ValueError(f"{meta} has no rows with split {split}.")
    pairs = [Pair(pair.ref, pair.dist) for pair in rated]
    scorer = create_metric(metric, engine=engine, device=device, threads=threads)
    peers = peer or []
    errors: dict[int, str] = {}
    columns: dict[str, np.ndarray] = {}
    if peers:
        with tempfile.TemporaryDirectory() as folder:
            table, errors = score_by_peers(
                pairs, peers, Path(folder) / "scores.jsonl", workers, resize=resize, background=levels
            )
        columns = {spec.removeprefix("-"): table[:, index] for index, spec in enumerate(peers)}
    results = options.with_progress(score_pairs(scorer, pairs, resize, levels), len(pairs))
    ours = np.full(len(pairs), np.nan)
    for index, result in enumerate(results):
        if result.score is None:
            errors[index] = result.error or ""
        else:
            ours[index] = result.score
    for index, error in sorted(errors.items()):
        print(f"birqa: {options.naming(pairs[index].dist, error)}", file=sys.stderr)
    kept = [index for index in range(len(pairs)) if index not in errors]
    columns = {scorer.info.name: ours} | columns
    if scores_file is not None:
        _write_scores(scores_file, pairs, columns)
    study = study_agreement(
        {name: column[kept].tolist() for name, column in columns.items()},
        [rated[index].mos for index in kept],
        [str(rated[index].ref) for index in kept],
        {
            name: [getattr(rated[index], name) for index in kept]
            for name in ("type", "level")
            if any(getattr(pair, name) for pair in rated)
        },
        resamples,
    )
    if as_json:
        record = {
            "metric": scorer.info.name,
            "version": scorer.info.version,
            "settings": {**scorer.settings, "resize": resize, "background": list(levels)},
            "data": str(meta),
            "split": split,
            "pairs": len(kept),
            "references": len({rated[index].ref for index in kept}),
            "failed": len(errors),
            "resamples": resamples,
            "agreements": [agreement.to_dict() for agreement in study.agreements],
            "differences": [gap.to_dict() for gap in study.differences],
        }
        print(json.dumps(record, indent=1))
    else:
        _print_study(study, meta)
    raise typer.Exit(2 if errors else 0)


def _print_study(study: "Study", meta: Path) -> None:
    first = study.agreements[0]
    print(f"{meta}: {first.n} pairs; brackets are 95 % intervals by reference")
    width = max(len(agreement.metric) for agreement in study.agreements)
    gaps = [None, *study.differences]
    for agreement, gap in zip(study.agreements, gaps, strict=True):
        low, high = agreement.intervals["srocc"]
        line = (
            f"{agreement.metric:<{width}}  SROCC {agreement.srocc:.4f} [{low:.3f}, {high:.3f}]  "
            f"KROCC {agreement.krocc:.4f}  PLCC {agreement.plcc:.4f}, fitted {agreement.plcc_fitted:.4f}  "
            f"RMSE {agreement.rmse:.4f}"
        )
        if gap is not None:
            low, high = gap.interval
            verdict = "better" if gap.significant else "worse" if high < 0 else "no clear difference"
            line += f"  {first.metric} is {gap.median:+.3f} [{low:+.3f}, {high:+.3f}]: {verdict}"
        print(line)


def _write_scores(path: Path, pairs: "list[Pair]", columns: "dict[str, np.ndarray]") -> None:
    import csv

    from birqa.files import replacing

    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ref", "dist", *columns])
        for index, pair in enumerate(pairs):
            values = (column[index] for column in columns.values())
            writer.writerow(
                [pair.ref, pair.dist, *("" if value != value else f"{value:.8g}" for value in values)]
            )
