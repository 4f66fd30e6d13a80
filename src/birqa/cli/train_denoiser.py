"""birqa train-denoiser: weights of the denoiser that stands before a metric in a certificate."""

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from birqa.cli import options


def command(
    data: Annotated[
        Path, typer.Option(help="CSV with image,mos,split: rated pictures; split test is left out.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Run folder; an unfinished run there goes on.")],
    metric: Annotated[
        str,
        typer.Option(
            help="The no-reference metric that it is trained for, where the recipe asks it: name, name.tag "
            "or folder, python:module:function of torch pictures (B, 3, H, W) that gives differentiable "
            "scores, with - in front where smaller is better, or pyiqa:name; scores about 0..1."
        ),
    ] = "blind.clive",
    recipe: options.PartsRecipe = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Go on from this denoiser: name, name.tag or folder.")
    ] = None,
    card: options.Card = None,
    steps: Annotated[int | None, typer.Option(min=1)] = None,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda, cuda:1, ...")] = "cpu",
    name: options.WeightsName = "denoiser.custom",
    version: options.WeightsVersion = "1",
) -> None:
    """Train a denoiser by squared error, order of scores and distance of scores; weights land in OUT/model.

    Needs birqa\\[torch].
    """
    from dataclasses import replace

    from birqa.metric import require_device, require_torch

    require_torch()
    from birqa.blind.denoiser import Denoiser
    from birqa.engines.torch import load_single
    from birqa.evaluation.peers import fingerprint, load_callable, pyiqa_loss, refuse_minus, source_digest
    from birqa.export import check_model_folder, save_single
    from birqa.ratings import check_leakage, read_rated_pictures
    from birqa.registry import find_model
    from birqa.training.denoiser import Called, DenoiserRecipe, train_denoiser
    from birqa.training.recipes import read_card, read_parts, refuse_other_network

    require_device(device)
    parts = read_parts(recipe, DenoiserRecipe(), steps=steps)
    written = read_card(card)
    check_model_folder(out / "model")
    rated = read_rated_pictures(data)
    check_leakage(rated)
    pictures = [picture for picture in rated if picture.split != "test"]
    # Looked for even where nothing asks it: one that does not exist was meant otherwise.
    kind, _, name_of = metric.removeprefix("-").partition(":")
    refuse_minus(metric, kind)
    scored: Any
    if kind == "python":
        scored = Called(load_callable(name_of), larger_is_better=not metric.startswith("-"))
        label, content = metric, source_digest(name_of)
    elif kind == "pyiqa":
        asked = pyiqa_loss(name_of, device=device)
        scored = Called(asked, larger_is_better=not asked.lower_better)
        label, content = metric, fingerprint(metric) + (" turned" if asked.lower_better else "")
    else:
        model = find_model(metric, "no-reference")
        scored, label, content = load_single(model), model.label, model.digest
    if not parts.training.asks_metric:
        scored, label, content = None, "none", ""
    weights, origin = None, "random weights"
    if start is not None:
        model = find_model(start, "denoiser")
        refuse_other_network(model.label, model.config, parts.network, "sigma")
        parts = replace(parts, network=replace(model.config, sigma=parts.network.sigma))
        weights, origin = load_single(model).state_dict(), model.label
    run = train_denoiser(
        parts.network,
        parts.training,
        parts.schedule,
        pictures,
        out,
        scored,
        weights,
        device,
        f"{label} {content}",
    )
    trained = cast(Denoiser, run.run(lambda entry: print(json.dumps(entry), flush=True)))
    facts = {
        "data": {"pictures": len(pictures)},
        "training": parts.to_dict() | {"metric": label, "from": origin},
        "last figures": run.log[-1],
    }
    save_single(trained, out / "model", name=name, version=version, card=written | facts)
    print(json.dumps({"model": str(out / "model")}))
