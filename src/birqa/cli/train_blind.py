"""birqa train-blind: weights of the no-reference metric."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from birqa.cli import options


def command(
    data: Annotated[
        Path, typer.Option(help="CSV with image,mos,split: rated pictures; split test is held out.")
    ],
    damaged: Annotated[
        Path,
        typer.Option(help="CSV with ref,dist,mos,type,level of damaged pictures, to learn damage from."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Run folder; an unfinished run there goes on.")],
    recipe: Annotated[
        Path | None, typer.Option(help="JSON with parts network, training and schedule.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="JSON to put into the model's card.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of learning damage.")] = None,
    name: Annotated[str, typer.Option(help="name.tag of the weights.")] = "blind.custom",
    version: Annotated[str, typer.Option(help="Version of the weights.")] = "1",
) -> None:
    """Learn damage from pristine pictures, then ratings of real ones; the weights land in OUT/model.

    Needs birqa[torch].
    """
    from birqa.metric import require_torch

    require_torch()
    from birqa.export import save_single
    from birqa.ratings import read_rated_pairs, read_rated_pictures
    from birqa.training.blind import BlindRecipe, check_learnable, fit_blind, pretrain
    from birqa.training.recipes import read_card, read_parts

    parts = read_parts(recipe, BlindRecipe(), steps=steps)
    written = read_card(card)
    pictures = read_rated_pictures(data)
    check_learnable(pictures)
    pairs = [pair for pair in read_rated_pairs(damaged) if pair.split == "train"]
    run = pretrain(parts.network, parts.training, parts.schedule, pairs, out)
    pretext = run.run(lambda entry: print(json.dumps(entry), flush=True))
    with options.progress_bar("Describing") as progress:
        model, measured = fit_blind(parts.network, pretext, pictures, progress)
    facts: dict[str, Any] = {
        "data": {"damaged pictures": len(pairs), "rated pictures": model.config.supports},
        "training": parts.to_dict(),
        "validation": measured,
    }
    save_single(model, out / "model", name=name, version=version, card=written | facts)
    print(json.dumps(measured | {"model": str(out / "model")}))
