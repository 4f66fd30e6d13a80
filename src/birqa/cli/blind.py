"""birqa blind: scores of pictures by themselves."""

import csv
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from birqa.cli import options
from birqa.files import naming


def command(
    pictures: Annotated[list[Path], typer.Argument(help="Picture(s), or folders of them.")],
    metric: Annotated[str, typer.Option(help="A no-reference metric's name, or a folder.")] = "blind",
    engine: options.Engine = "auto",
    device: options.Device = None,
    threads: options.Threads = None,
    shorter_side: options.ShorterSide = None,
    background: options.Background = "0.5",
    as_json: options.Json = False,
    csv_file: options.CsvFile = None,
    fail_under: options.FailUnder = None,
) -> None:
    """Score pictures without a reference: 1 is best, 0 is worst, on the scale of LIVE In the Wild.

    Exit code: 0 all scored, 1 a score below --fail-under, 2 something could not be scored.
    """
    from birqa.batch import score_pictures
    from birqa.files import replacing
    from birqa.metric import create_no_reference
    from birqa.pairing import list_pictures

    levels = options.parse_background(background)
    todo = list_pictures(pictures)
    options.check_output(csv_file, todo)
    scorer = create_no_reference(metric, engine=engine, device=device, threads=threads)
    if scorer.model.config.noise:
        raise typer.BadParameter(
            f"{scorer.info.name} is fitted to noisy pictures: use it with birqa certify",
            param_hint="--metric",
        )
    settings = {**scorer.settings, "shorter_side": shorter_side, "background": list(levels)}
    rows: list[dict[str, Any]] = []
    results = score_pictures(scorer, todo, shorter_side, levels)
    for result in options.with_progress(results, len(todo)):
        row = {
            "picture": str(result.picture),
            "score": result.score,
            "metric": scorer.info.name,
            "version": scorer.info.version,
            "settings": settings,
        }
        if result.error is not None:
            row["error"] = result.error
            print(f"birqa: {naming(result.picture, result.error)}", file=sys.stderr)
        if not as_json and csv_file is None:
            score = "failed" if result.score is None else f"{result.score:.4f}"
            print(score, options.shown(result.picture), sep="\t", flush=True)
        rows.append(row)
    if csv_file is not None:
        with replacing(csv_file) as part:
            _write_csv(part, rows)
    if as_json:
        print(json.dumps(rows, indent=1))
    scores = [row["score"] for row in rows if row["score"] is not None]
    below = fail_under is not None and any(not score >= fail_under for score in scores)
    raise typer.Exit(2 if len(scores) < len(rows) else 1 if below else 0)


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, ["picture", "score", "metric", "version", "settings", "error"])
        writer.writeheader()
        writer.writerows({**row, "settings": json.dumps(row["settings"])} for row in rows)
