"""birqa calibrate: a prediction interval for a model's scores."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from birqa.cli import options
from birqa.files import naming


def command(
    model: Annotated[Path, typer.Argument(help="Model folder; its model.json gets the interval.")],
    data: Annotated[Path, typer.Option(help="CSV with ref,dist,mos of references the model never saw.")],
    coverage: Annotated[float, typer.Option(help="Share of ratings that the interval should hold.")] = 0.9,
    identity_mos: Annotated[
        float, typer.Option(help="Rating of an undistorted picture, 0..1, by which ratings are divided.")
    ] = 1.0,
    mos_range: options.MosRange = None,
    split: options.Split = None,
    label_spread: Annotated[
        bool,
        typer.Option(
            help="The column std is the spread of single pictures about their label: draw ratings from it."
        ),
    ] = False,
    threads: options.Threads = None,
) -> None:
    """Learn from rated pairs how far a picture's rating lies from its score: low and high in --json.

    On pairs that a model was trained on its scores are nearer than on others, so a table of several splits
    needs --split.
    """
    import numpy as np

    from birqa.batch import score_pairs
    from birqa.calibration import calibrate, draw_ratings
    from birqa.files import replacing
    from birqa.metric import create_full_reference
    from birqa.pairing import Pair
    from birqa.ratings import check_unit_range, of_split, read_rated_pairs, rescaled, split_unit

    if not 0 < identity_mos < math.inf:
        raise typer.BadParameter(f"--identity-mos {identity_mos:g} should be a number above 0")
    rated = of_split(read_rated_pairs(data), split, data)
    if {"train"} < {pair.split for pair in rated}:
        raise ValueError(
            f"{data} has rows of the split train, which the model may have learned from: choose others with "
            "--split test or val."
        )
    if mos_range is not None:
        rated = rescaled(rated, *mos_range)
    # As in training, whose scores end where these are cut off below.
    check_unit_range(rated, spare=0.5)
    if label_spread and not all(np.isfinite(pair.std) for pair in rated):
        raise ValueError(f"{data}: --label-spread needs a number in the column std of every row.")
    if not model.is_dir():
        raise ValueError(
            f"there is no metric folder {model}: calibrate writes into one, such as OUT/model of birqa train."
        )
    path = model / "model.json"
    options.check_output(path, [data])
    results = score_pairs(
        create_full_reference(model, threads=threads), (Pair(pair.ref, pair.dist) for pair in rated)
    )
    scores = []
    for result in options.with_progress(results, len(rated)):
        if result.score is None:
            raise ValueError(naming(result.pair.dist, result.error or ""))
        scores.append(result.score)
    ratings = np.array([pair.mos for pair in rated])
    if label_spread:
        ratings = draw_ratings(ratings, np.array([pair.std for pair in rated]))
    interval = calibrate(
        np.array(scores),
        np.clip(ratings / identity_mos, 0, 1),
        [split_unit(pair) for pair in rated],
        coverage=coverage,
        data=f"{data.resolve().parent.name}/{data.name}, {len(rated)} pairs"
        + (f" of {split}" if split else ""),
    )
    record = json.loads(path.read_text(encoding="utf-8")) | {"interval": interval.to_dict()}
    with replacing(path) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(interval.to_dict()))
