"""birqa eval: agreement of metrics with human ratings."""

import json
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from birqa.cli import options
from birqa.files import naming

if TYPE_CHECKING:
    import numpy as np

    from birqa.evaluation.agreement import Interval, Study
    from birqa.metric import FullReferenceMetric
    from birqa.pairing import Pair


def command(
    meta: Annotated[
        Path,
        typer.Argument(
            help="CSV with ref,dist,mos[,split,type,level]; paths relative to it; larger is better. Tables "
            "of image,mos, which `data index` makes of koniq10k and live-itw, are for train-blind."
        ),
    ],
    metric: options.Metric = "birqa",
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Another metric beside it: a birqa metric, piq:vsi, torchmetrics:ms-ssim, pyiqa:topiq_fr, "
            "python:module:function, csv:scores.csv (ref,dist,score, or what --scores wrote of one metric), "
            "command:tool {ref} {dist}; - in front where smaller is better. Repeat for more."
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
    from birqa.metric import create_full_reference
    from birqa.ratings import is_judgement_table, split_unit

    require_scipy()
    levels = options.parse_background(background)
    specs = [spec.removeprefix("-") for spec in peer or []]
    tables = [Path(spec.removeprefix("csv:")) for spec in specs if spec.startswith("csv:")]
    options.check_output(scores_file, [meta, *tables])
    options.check_output(cache, [meta, scores_file, *tables])
    choices = is_judgement_table(meta)
    pairs, rows = (_choice_rows if choices else _rated_rows)(meta, split)
    draw_tests([split_unit(row) for row in rows], splits)
    if choices and splits:
        raise ValueError(f"{meta} holds choices, which are not split at random: leave --splits out.")
    if by_type and not any(not choices and (row.type or row.level) for row in rows):
        raise ValueError(f"{meta} rates no types or levels: leave --by-type out.")
    scorer = create_full_reference(metric, engine=engine, device=device, threads=threads)
    columns, errors, left_out = _score(scorer, pairs, peer or [], workers, cache, resize, levels)
    for name, why in left_out.items():
        print(f"birqa: {name} scored no pair and is left out: {why}", file=sys.stderr)
    for index, error in sorted(errors.items()):
        print(f"birqa: {naming(pairs[index].dist, error)}", file=sys.stderr)
    if len(errors) == len(pairs):
        raise ValueError(f"{meta}: none of the {len(pairs)} pairs could be scored.")
    if scores_file is not None:
        _write_scores(scores_file, pairs, columns)
    record: dict[str, Any] = {
        "metric": scorer.info.name,
        "version": scorer.info.version,
        "settings": {**scorer.settings, "resize": resize, "background": list(levels)},
        "data": str(meta),
        "split": split,
        "failed": len(errors),
        "left_out": list(left_out),
        "resamples": resamples,
    }
    report = _report_choices if choices else partial(_report_ratings, splits=splits, by_type=by_type)
    report(record, rows, columns, errors, resamples, as_json)
    raise typer.Exit(2 if errors or left_out else 0)


def _rated_rows(meta: Path, split: str | None) -> "tuple[list[Pair], list[Any]]":
    from birqa.pairing import Pair
    from birqa.ratings import of_split, read_rated_pairs

    rated = of_split(read_rated_pairs(meta), split, meta)
    return [Pair(pair.ref, pair.dist) for pair in rated], rated


def _choice_rows(meta: Path, split: str | None) -> "tuple[list[Pair], list[Any]]":
    """Two pairs a choice: left and right."""
    from birqa.pairing import Pair
    from birqa.ratings import of_split, read_judgements

    chosen = of_split(read_judgements(meta), split, meta)
    return [Pair(choice.ref, side) for choice in chosen for side in (choice.left, choice.right)], chosen


def _score(
    scorer: "FullReferenceMetric",
    pairs: "list[Pair]",
    peers: list[str],
    workers: int | None,
    cache: Path | None,
    resize: Any,
    background: tuple[float, float, float],
) -> "tuple[dict[str, np.ndarray], dict[int, str], dict[str, str]]":
    """One column a metric, ours first, what went wrong by the pair's number, and why peers are left out."""
    import numpy as np

    from birqa.batch import score_pairs
    from birqa.evaluation.scoring import Failures, score_by_peers, told
    from birqa.registry import full_name

    names: list[str] = []
    for spec in peers:
        name = spec.removeprefix("-")
        # The same scores may stand there twice, once turned round.
        name = spec if name in names else str(full_name(name))
        if name in (scorer.info.name, *names):
            raise ValueError(f"--peer {spec} is measured already: leave it out, or give it another name.")
        names.append(name)
    table = np.empty((len(pairs), 0))
    failures: Failures = {}
    if peers:
        with tempfile.TemporaryDirectory() as folder:
            kept = cache or Path(folder) / "scores.jsonl"
            table, failures = score_by_peers(
                pairs, peers, kept, workers, resize=resize, background=background
            )
    ours = np.full(len(pairs), np.nan)
    errors: dict[int, str] = {}
    results = options.with_progress(score_pairs(scorer, pairs, resize, background), len(pairs))
    for index, result in enumerate(results):
        if result.score is None:
            errors[index] = result.error or ""
        else:
            ours[index] = result.score
    # A peer that fails everywhere would leave nothing to evaluate the others on.
    scored = np.isfinite(ours)
    idle = {place for place in range(len(names)) if scored.any() and np.isnan(table[scored, place]).all()}
    first = next((index for index in range(len(pairs)) if scored[index]), 0)
    left_out = {names[place]: failures[first][place] for place in sorted(idle)}
    for index, of_pair in failures.items():
        others = {place: why for place, why in of_pair.items() if place not in idle}
        if others and index not in errors:
            errors[index] = told(others)
    columns = {scorer.info.name: ours}
    columns |= {name: table[:, place] for place, name in enumerate(names) if place not in idle}
    return columns, errors, left_out


def _report_ratings(
    record: dict[str, Any],
    rated: list[Any],
    columns: "dict[str, np.ndarray]",
    errors: dict[int, str],
    resamples: int,
    as_json: bool,
    splits: int,
    by_type: bool,
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
            if any(getattr(pair, name) for pair in rated)
        },
        resamples,
        splits=splits,
    )
    if not as_json:
        print(f"{record['data']}: {len(kept)} pairs; {_brackets(refs)}")
        _print_study(study)
        if by_type:
            _print_groups(study)
        return
    record |= {
        "pairs": len(kept),
        "references": len(set(refs)),
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


def _brackets(refs: list[str]) -> str:
    """What the brackets are, or why there are none."""
    from birqa.evaluation.agreement import MANY_REFERENCES, MIN_REFERENCES, enough_references

    count = len(set(refs))
    if not enough_references(refs):
        return f"too few references ({count}) for intervals, which need {MIN_REFERENCES}"
    rough = "" if count >= MANY_REFERENCES else f", of {count} references only, and so too narrow"
    return f"brackets are 95 % intervals by reference{rough}"


def _ends(interval: "Interval | None") -> str:
    return "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"


def _print_study(study: "Study") -> None:
    first = study.agreements[0]
    width = max(len(agreement.metric) for agreement in study.agreements)
    gaps = [None, *study.differences]
    for agreement, gap in zip(study.agreements, gaps, strict=True):
        line = (
            f"{agreement.metric:<{width}}  SROCC {agreement.srocc:.4f}{_ends(agreement.intervals['srocc'])}  "
            f"KROCC {agreement.krocc:.4f}  PLCC {agreement.plcc:.4f}, fitted {agreement.plcc_fitted:.4f}  "
            f"RMSE {agreement.rmse:.4f}"
        )
        if agreement.srocc_splits:
            mean, spread = statistics.mean(agreement.srocc_splits), statistics.pstdev(agreement.srocc_splits)
            line += f"  {len(agreement.srocc_splits)} splits {mean:.4f} +- {spread:.4f}"
        if gap is not None and gap.interval is not None:
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


def _write_scores(path: Path, pairs: "list[Pair]", columns: "dict[str, np.ndarray]") -> None:
    import csv

    from birqa.files import relative_path, replacing

    with (
        replacing(path) as part,
        part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["ref", "dist", *columns])
        for index, pair in enumerate(pairs):
            values = (column[index] for column in columns.values())
            paths = (relative_path(picture, path.parent) for picture in (pair.ref, pair.dist))
            writer.writerow([*paths, *("" if value != value else f"{value:.8g}" for value in values)])
