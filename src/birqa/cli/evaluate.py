"""birqa eval: agreement of metrics with human ratings."""

import json
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from birqa.cli import options
from birqa.files import naming

if TYPE_CHECKING:
    import numpy as np

    from birqa.evaluation.agreement import Interval, Study
    from birqa.metric import FullReferenceMetric, NoReferenceMetric


FIGURES = {
    "  SROCC": "srocc",
    "  KROCC": "krocc",
    "  PLCC": "plcc",
    ", fitted": "plcc_fitted",
    "  RMSE": "rmse",
}


def command(
    meta: Annotated[
        Path,
        typer.Argument(
            help="CSV with ref,dist,mos[,split,type,level], or image,mos[,split] for metrics without "
            "reference; paths relative to it; larger is better."
        ),
    ],
    metric: Annotated[
        str | None,
        typer.Option(
            help="A metric's name, name.tag, or a folder with weights.",
            show_default="birqa; blind for image,mos",
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Another metric beside it: a birqa metric, piq:vsi, torchmetrics:ms-ssim, pyiqa:topiq_fr, "
            "python:module:function, csv:scores.csv (ref,dist,score; or #NAME of its column behind), "
            "command:tool {ref} {dist}; - in front where smaller is better. Without references: a birqa "
            "metric, pyiqa:brisque, python:module:function, csv:scores.csv (image,score), command:tool "
            "{dist}. Repeat for more."
        ),
    ] = None,
    engine: options.Engine = "auto",
    device: options.Device = None,
    threads: options.Threads = None,
    resize: options.Resize = "none",
    background: options.Background = "0.5",
    split: options.Split = None,
    resamples: Annotated[int, typer.Option(min=2, help="Bootstrap resamples, over references.")] = 1000,
    splits: Annotated[
        int, typer.Option(min=0, help="SROCC on the test parts of so many random 6:2:2 splits as well.")
    ] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes for peers; default one a core.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep each peer's scores in this file, and take them from there.")
    ] = None,
    scores_file: Annotated[
        Path | None,
        typer.Option("--scores", help="Write every score to this CSV file, paths relative to it."),
    ] = None,
    by_type: Annotated[
        bool, typer.Option("--by-type", help="SROCC within each type and level too; --json always has them.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Correlate scores with human ratings: SROCC, KROCC, PLCC, RMSE, with 95 % intervals, beside peers.

    Fewer than five references give no intervals. A table with ref,left,right,prefers_right is read as
    two-alternative choices and gives their accuracy. Exit code 2 when a pair could not be scored; it is left
    out for every metric, and the others are counted. A peer that scores no pair is left out instead, with the
    same exit code.
    """
    from birqa.evaluation.agreement import draw_tests
    from birqa.evaluation.correlation import require_scipy
    from birqa.evaluation.peers import table_of
    from birqa.ratings import split_unit, table_kind

    require_scipy()
    levels = options.parse_background(background)
    peers = peer or []
    specs = [spec.removeprefix("-") for spec in peers]
    tables = [table_of(spec.removeprefix("csv:"))[0] for spec in specs if spec.startswith("csv:")]
    options.check_output(scores_file, [meta, *tables])
    options.check_output(cache, [meta, scores_file, *tables])
    kind = table_kind(meta)
    rows: list[Any]
    files, rows = {"choices": _choice_rows, "pictures": _picture_rows, "pairs": _rated_rows}[kind](
        meta, split
    )
    draw_tests([split_unit(row) for row in rows], splits)
    if kind == "choices" and splits:
        raise ValueError(f"{meta} holds choices, which are not split at random: leave --splits out.")
    if by_type and not any(kind == "pairs" and (row.type or row.level) for row in rows):
        raise ValueError(f"{meta} rates no types or levels: leave --by-type out.")
    how: dict[str, Any] = {"engine": engine, "device": device, "threads": threads}
    scorer: FullReferenceMetric | NoReferenceMetric
    if kind == "pictures":
        from birqa.evaluation.columns import score_rated_pictures
        from birqa.metric import create_no_reference

        if resize != "none" or workers is not None or cache is not None:
            raise ValueError(f"{meta} rates pictures alone: leave --resize, --workers and --cache out.")
        scorer = create_no_reference(metric or "blind", **how)
        if scorer.model.config.noise:
            raise ValueError(f"{scorer.info.name} is fitted to noisy pictures: use it with birqa certify.")
        names = [file for (file,) in files]
        found = score_rated_pictures(scorer, names, peers, options.with_progress, background=levels)
    else:
        from birqa.evaluation.columns import score_rated_pairs
        from birqa.metric import create_full_reference
        from birqa.pairing import Pair

        scorer = create_full_reference(metric or "birqa", **how)
        pairs = [Pair(*both) for both in files]
        found = score_rated_pairs(
            scorer,
            pairs,
            peers,
            options.with_progress,
            workers=workers,
            cache=cache,
            resize=resize,
            background=levels,
        )
    errors = found.errors
    for name, why in found.left_out.items():
        print(f"birqa: {name} scored nothing and is left out: {why}", file=sys.stderr)
    for index, error in sorted(errors.items()):
        print(f"birqa: {naming(files[index][-1], error)}", file=sys.stderr)
    if len(errors) == len(files):
        what = "pictures" if kind == "pictures" else "pairs"
        raise ValueError(f"{meta}: none of the {len(files)} {what} could be scored.")
    if scores_file is not None:
        _write_scores(scores_file, files, found.scores)
    record: dict[str, Any] = {
        "metric": scorer.info.name,
        "version": scorer.info.version,
        "settings": {**scorer.settings, "resize": resize, "background": list(levels)},
        "data": str(meta),
        "split": split,
        "failed": len(errors),
        "left_out": list(found.left_out),
        "resamples": resamples,
    }
    report = (
        _report_choices
        if kind == "choices"
        else partial(_report_ratings, splits=splits, by_type=by_type, what=kind)
    )
    report(record, rows, found.scores, errors, resamples, as_json)
    raise typer.Exit(2 if errors or found.left_out else 0)


def _rated_rows(meta: Path, split: str | None) -> "tuple[list[tuple[Path, ...]], list[Any]]":
    """Reference and distorted picture of each row, and the rows."""
    from birqa.ratings import of_split, read_rated_pairs

    rated = of_split(read_rated_pairs(meta), split, meta)
    return [(pair.ref, pair.dist) for pair in rated], rated


def _picture_rows(meta: Path, split: str | None) -> "tuple[list[tuple[Path, ...]], list[Any]]":
    from birqa.ratings import of_split, read_rated_pictures

    rated = of_split(read_rated_pictures(meta), split, meta)
    return [(picture.image,) for picture in rated], rated


def _choice_rows(meta: Path, split: str | None) -> "tuple[list[tuple[Path, ...]], list[Any]]":
    """Two pairs a choice: left and right."""
    from birqa.ratings import of_split, read_judgements

    chosen = of_split(read_judgements(meta), split, meta)
    return [(choice.ref, side) for choice in chosen for side in (choice.left, choice.right)], chosen


def _report_ratings(
    record: dict[str, Any],
    rated: list[Any],
    columns: "dict[str, np.ndarray]",
    errors: dict[int, str],
    resamples: int,
    as_json: bool,
    splits: int,
    by_type: bool,
    what: str,
) -> None:
    from birqa.evaluation.agreement import study_agreement
    from birqa.ratings import split_unit

    kept = [index for index in range(len(rated)) if index not in errors]
    refs = [split_unit(rated[index]) for index in kept]
    study = study_agreement(
        {name: column[kept].tolist() for name, column in columns.items()},
        [rated[index].mos for index in kept],
        refs,
        {
            name: [getattr(rated[index], name) for index in kept]
            for name in ("type", "level")
            if what == "pairs" and any(getattr(pair, name) for pair in rated)
        },
        resamples,
        splits=splits,
    )
    if not as_json:
        unit = "picture" if what == "pictures" else "reference"
        print(f"{record['data']}: {len(kept)} {what}; {_brackets(refs, unit)}")
        _print_study(study)
        if by_type:
            _print_groups(study)
        return
    record |= {
        what: len(kept),
        **({"references": len(set(refs))} if what == "pairs" else {}),
        "agreements": [agreement.to_dict() for agreement in study.agreements],
        "differences": [gap.to_dict() for gap in study.differences],
    }
    print(json.dumps(record, indent=1))


def _report_choices(
    record: dict[str, Any],
    choices: list[Any],
    columns: "dict[str, np.ndarray]",
    errors: dict[int, str],
    resamples: int,
    as_json: bool,
) -> None:
    from birqa.evaluation.two_alternatives import study_judgements
    from birqa.ratings import split_unit

    kept = [index for index in range(len(choices)) if not {2 * index, 2 * index + 1} & set(errors)]
    if not kept:
        raise ValueError(f"{record['data']}: no choice is left to evaluate.")
    sides = {
        name: tuple([column[2 * index + side] for index in kept] for side in (0, 1))
        for name, column in columns.items()
    }
    agreements = study_judgements(sides, [choices[index] for index in kept], resamples)  # type: ignore[arg-type]
    if as_json:
        record |= {"choices": len(kept), "agreements": [agreement.to_dict() for agreement in agreements]}
        print(json.dumps(record, indent=1))
        return
    first = agreements[0]
    refs = [split_unit(choices[index]) for index in kept]
    print(
        f"{record['data']}: {first.n} choices; a person agrees with the others in {first.human:.4f}, "
        f"siding with the majority earns {first.majority:.4f}; {_brackets(refs)}"
    )
    width = max(len(agreement.metric) for agreement in agreements)
    for agreement in agreements:
        print(f"{agreement.metric:<{width}}  2AFC {agreement.accuracy:.4f}{_ends(agreement.interval)}")


def _brackets(refs: list[str], unit: str = "reference") -> str:
    """What the brackets are, or why there are none."""
    from birqa.evaluation.agreement import MANY_REFERENCES, MIN_REFERENCES, enough_references

    count = len(set(refs))
    if not enough_references(refs):
        return f"too few {unit}s ({count}) for intervals, which need {MIN_REFERENCES}"
    rough = "" if count >= MANY_REFERENCES else f", of {count} {unit}s only, and so too narrow"
    return f"brackets are 95 % intervals by {unit}{rough}"


def _ends(interval: "Interval | None") -> str:
    return "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"


def _print_study(study: "Study") -> None:
    first = study.agreements[0]
    width = max(len(agreement.metric) for agreement in study.agreements)
    gaps = [None, *study.differences]
    for agreement, gap in zip(study.agreements, gaps, strict=True):
        line = f"{agreement.metric:<{width}}" + "".join(
            f"{label} {getattr(agreement, name):.4f}{_ends(agreement.intervals[name])}"
            for label, name in FIGURES.items()
        )
        if agreement.srocc_splits:
            mean, spread = statistics.mean(agreement.srocc_splits), statistics.pstdev(agreement.srocc_splits)
            line += f"  {len(agreement.srocc_splits)} splits {mean:.4f} +- {spread:.4f}"
        ends = agreement.intervals["srocc"]
        if gap is not None and agreement.srocc < 0 and (ends is None or ends[1] < 0):
            # No verdict: it may be a distance that orders well.
            line += f"  falls where ratings rise: for a distance give -{agreement.metric}"
        elif gap is not None and gap.interval is not None:
            low, high = gap.interval
            verdict = "better" if gap.significant else "worse" if high < 0 else "no clear difference"
            line += f"  {first.metric} is {gap.median:+.3f} [{low:+.3f}, {high:+.3f}]: {verdict}"
        print(line)


def _print_groups(study: "Study") -> None:
    """A table for each of type and level: groups downwards, as many metrics side by side as fit."""
    names = [agreement.metric for agreement in study.agreements]
    for label in study.agreements[0].srocc_by:
        groups = list(dict.fromkeys(group for one in study.agreements for group in one.srocc_by[label]))
        side = max(map(len, [f"SROCC by {label}", *groups]))
        width = max(map(len, names))
        fitting = max(1, (110 - side) // (width + 2))
        for start in range(0, len(names), fitting):
            shown = study.agreements[start : start + fitting]
            print("  ".join([f"SROCC by {label}".ljust(side), *(one.metric.rjust(width) for one in shown)]))
            for group in groups:
                values = (one.srocc_by[label].get(group) for one in shown)
                cells = ("-" if value is None else f"{value:.4f}" for value in values)
                print("  ".join([group.ljust(side), *(cell.rjust(width) for cell in cells)]))


def _write_scores(path: Path, files: "list[tuple[Path, ...]]", columns: "dict[str, np.ndarray]") -> None:
    import csv

    from birqa.files import relative_path, replacing

    with (
        replacing(path) as part,
        part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow([*(("image",) if len(files[0]) == 1 else ("ref", "dist")), *columns])
        for index, row in enumerate(files):
            values = (column[index] for column in columns.values())
            paths = (relative_path(picture, path.parent) for picture in row)
            writer.writerow([*paths, *("" if value != value else f"{value:.8g}" for value in values)])
