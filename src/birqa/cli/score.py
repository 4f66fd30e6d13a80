"""birqa score: two files, folders, one reference against many, or a CSV of pairs."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from birqa.cli import options
from birqa.files import naming

if TYPE_CHECKING:
    import numpy as np

    from birqa.metric import FullReferenceMetric
    from birqa.pairing import Pair

COLUMNS = (
    *("ref", "dist", "score", "low", "high", "bytes", "bits_per_pixel"),
    *("metric", "version", "settings", "error"),
)


def command(
    ref: Annotated[Path | None, typer.Argument(help="Reference picture or folder.")] = None,
    dist: Annotated[list[Path] | None, typer.Argument(help="Distorted picture(s) or folder.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="CSV with columns ref,dist instead of arguments.")
    ] = None,
    metric: options.Metric = "birqa",
    engine: options.Engine = "auto",
    device: options.Device = None,
    threads: options.Threads = None,
    resize: options.Resize = "none",
    match: options.Match = "path",
    background: options.Background = "0.5",
    as_json: options.Json = False,
    csv_file: options.CsvFile = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a page of the scores (HTML): means, the worst pairs with quality maps, all."
        ),
    ] = None,
    worst: Annotated[
        int | None, typer.Option(min=0, help="Pairs of the report that are shown with pictures; default 20.")
    ] = None,
    fail_under: options.FailUnder = None,
    allow_unmatched: options.AllowUnmatched = False,
) -> None:
    """Score distorted pictures against their references: 1 is identical, lower is worse.

    Exit code: 0 all scored, 1 a score below --fail-under, 2 something could not be scored.
    """
    from birqa.batch import load_pair, score_pairs
    from birqa.files import replacing
    from birqa.metric import create_full_reference
    from birqa.pairing import pair_inputs, read_pairs_csv

    levels = options.parse_background(background)
    if pairs is not None:
        if ref is not None:
            raise typer.BadParameter("give either REF and DIST or --pairs, not both")
        todo, unmatched = read_pairs_csv(pairs), list[Path]()
    elif ref is None or not dist:
        raise typer.BadParameter("REF and DIST are needed, or --pairs with a CSV file")
    else:
        todo, unmatched = pair_inputs(ref, dist, match)
    inputs = [pairs, *(path for pair in todo for path in (pair.ref, pair.dist))]
    if report is None and worst is not None:
        raise typer.BadParameter("--worst is about the pairs of --report, which is not given")
    options.check_output(csv_file, inputs)
    options.check_output(report, [*inputs, csv_file])
    if report is not None and report.suffix.lower() not in (".html", ".htm", ""):
        raise typer.BadParameter(f"{report}: the report is HTML, so name it .html")
    options.report_unmatched(unmatched, match)

    scorer = create_full_reference(metric, engine=engine, device=device, threads=threads)
    settings = {**scorer.settings, "resize": resize, "background": list(levels)}
    table = not as_json and csv_file is None and report is None
    as_lines = table and (len(todo) == 1 or not sys.stdout.isatty())
    rows: list[dict[str, Any]] = []
    for result in options.with_progress(score_pairs(scorer, todo, resize, levels), len(todo)):
        row = {
            "ref": str(result.pair.ref),
            "dist": str(result.pair.dist),
            "score": result.score,
            "metric": scorer.info.name,
            "version": scorer.info.version,
            "settings": settings,
        }
        if scorer.interval is not None and result.score is not None:
            low, high = scorer.interval([result.score])
            row |= {"low": round(float(low[0]), 4), "high": round(float(high[0]), 4)}
        if result.bits_per_pixel is not None:
            row |= {"bytes": result.bytes, "bits_per_pixel": round(result.bits_per_pixel, 4)}
        if result.error is not None:
            row["error"] = result.error
            print(f"birqa: {naming(result.pair.dist, result.error)}", file=sys.stderr)
        if as_lines:
            score = "failed" if result.score is None else f"{result.score:.4f}"
            print(score, *map(options.shown, (result.pair.dist, result.pair.ref)), sep="\t", flush=True)
        rows.append(row)

    if csv_file is not None:
        with replacing(csv_file) as part:
            _write_csv(part, rows)
    if as_json:
        print(json.dumps(rows, indent=1))
    elif table and not as_lines:
        _print_table(rows)
    if report is not None:
        shown = 20 if worst is None else worst
        page = _page(scorer, rows, unmatched, shown, lambda pair: load_pair(pair, resize, levels))
        with replacing(report) as part:
            part.write_text(page, encoding="utf-8")
    scores = [row["score"] for row in rows if row["score"] is not None]
    if len(scores) > 1 and not as_json:
        lowest = min((row for row in rows if row["score"] is not None), key=lambda row: row["score"])
        print(
            f"birqa: {len(scores)} of {len(rows)} scored, mean {sum(scores) / len(scores):.4f}, lowest "
            f"{lowest['score']:.4f} ({lowest['dist']})",
            file=sys.stderr,
        )
    failed = len(scores) < len(rows) or (unmatched and not allow_unmatched)
    below = fail_under is not None and any(not score >= fail_under for score in scores)
    raise typer.Exit(2 if failed else 1 if below else 0)


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    # Names of files are at the ends of paths, where a narrow terminal would cut them off.
    table = Table(title=f"{rows[0]['metric']}: 1 is identical, lower is worse")
    table.add_column("score")
    for side in ("distorted", "reference"):
        table.add_column(side, overflow="fold")
    for row in rows:
        score = "[red]failed[/red]" if row["score"] is None else f"{row['score']:.4f}"
        table.add_row(score, escape(row["dist"]), escape(row["ref"]))
    Console().print(table)


def _page(
    scorer: "FullReferenceMetric",
    rows: list[dict[str, Any]],
    unmatched: list[Path],
    worst: int,
    load: "Callable[[Pair], tuple[np.ndarray, np.ndarray]]",
) -> str:
    from birqa.pairing import Pair
    from birqa.report.page import Row, Views, score_page

    def views(pair: Pair) -> Views:
        dist, ref = load(pair)
        return Views(ref, dist, scorer.explain(dist, ref).quality_map)

    return score_page(
        [
            Row(
                Pair(Path(row["ref"]), Path(row["dist"])),
                **{name: row.get(name) for name in ("score", "low", "high", "error", "bits_per_pixel")},
            )
            for row in rows
        ],
        f"{scorer.info.name} {scorer.info.version}",
        ", ".join(f"{name} {value}" for name, value in rows[0]["settings"].items()),
        worst,
        views,
        unmatched,
    )


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        # So that `--pairs` finds the files: it looks from the table's folder, of a pipe from where one is.
        folder = path.parent if path.is_file() else Path()
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            files = {side: _from(Path(row[side]), folder) for side in ("ref", "dist")}
            writer.writerow({**row, **files, "settings": json.dumps(row["settings"])})


def _from(file: Path, folder: Path) -> str:
    from birqa.files import relative_path

    return str(file) if file.is_absolute() else relative_path(file, folder)
