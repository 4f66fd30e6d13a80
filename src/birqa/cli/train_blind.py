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
    out: Annotated[Path, typer.Option("-o", "--out", help="Run folder; an unfinished run there goes on.")],
    recipe: options.PartsRecipe = None,
    damaged: Annotated[
        Path | None,
        typer.Option(
            help="CSV with ref,dist,mos,type,level of damaged pictures: needed for a recipe with a network "
            "(widths), which learns from them first; without one the regression remembers some of them."
        ),
    ] = None,
    card: options.Card = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of learning from damage.")] = None,
    name: options.WeightsName = "blind.custom",
    version: options.WeightsVersion = "1",
) -> None:
    """Learn what people say of real pictures; the weights land in OUT/model.

    A recipe with a network learns from --damaged pictures first. Needs birqa\\[torch].
    """
    from birqa.metric import require_torch

    require_torch()
    from birqa.export import check_model_folder, save_single
    from birqa.ratings import check_leakage, read_rated_pairs, read_rated_pictures
    from birqa.registry import find_model
    from birqa.training.blind import BlindRecipe, check_learnable, fit_blind, pretrain
    from birqa.training.recipes import read_card, read_parts

    parts = read_parts(recipe, BlindRecipe(), steps=steps)
    written = read_card(card)
    check_model_folder(out / "model")
    pictures = read_rated_pictures(data)
    check_leakage(pictures)
    check_learnable(pictures)
    if parts.network.widths and damaged is None:
        raise typer.BadParameter(
            "is missing: a network (widths) learns from damaged pictures", param_hint="--damaged"
        )
    pairs, pretext = [], None
    if damaged is not None:
        pairs = [pair for pair in read_rated_pairs(damaged) if pair.split == "train"]
        if not pairs:
            raise typer.BadParameter(f"{damaged} has no rows with split train", param_hint="--damaged")
    if parts.network.widths:
        run = pretrain(parts.network, parts.training, parts.schedule, pairs, out)
        pretext = run.run(lambda entry: print(json.dumps(entry), flush=True))
    with options.progress_bar("Describing") as progress:
        remembered = [] if parts.network.widths else pairs
        model, measured = fit_blind(parts.network, pretext, pictures, progress, remembered, parts.training)
    facts: dict[str, Any] = {
        "data": {"rated pictures": sum(picture.split != "test" for picture in pictures)},
        "training": {"network": parts.network.to_dict()},
        "validation": measured,
    }
    if pairs:
        facts["data"]["damaged pictures"] = (
            len(pairs) if parts.network.widths else min(len(pairs), parts.training.damaged)
        )
        facts["training"] = parts.to_dict()
    if parts.network.denoiser:
        denoiser = find_model(parts.network.denoiser, "denoiser")
        facts["training"]["denoiser"] = denoiser.label
    save_single(model, out / "model", name=name, version=version, card=written | facts)
    print(json.dumps(measured | {"model": str(out / "model")}))
