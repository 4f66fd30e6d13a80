"""birqa attack: how far somebody who wants to can move a score."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from birqa.cli import options
from birqa.files import naming

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from birqa.attacks.base import Metric


def command(
    ref: Annotated[Path, typer.Argument(help="Reference picture or folder; it is never changed.")],
    dist: Annotated[list[Path], typer.Argument(help="Distorted picture(s) or folder, to be attacked.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="PNG to write; for several pictures a folder.")],
    attack: Annotated[str, typer.Option(help="The attack: fgsm, pgd, cw, autoattack, square, ...")] = "pgd",
    budget: Annotated[
        str, typer.Option(help="Most that a sample may change, L-infinity on [0, 1]; 8/255 or .03.")
    ] = "8/255",
    direction: Annotated[
        Literal["up", "down", "bidirectional"],
        typer.Option(help="Where scores are pushed; bidirectional: those above the mean down, others up."),
    ] = "up",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the attack, as steps=20; may be repeated.")
    ] = None,
    gradient: Annotated[
        str | None,
        typer.Option(
            help="What the attacker differentiates of ours: straight-through (default), soft, hard or 'every "
            "grid'; by default autoattack tries straight-through and hard. Scores are always those of the "
            "metric itself."
        ),
    ] = None,
    train_pairs: Annotated[
        Path | None, typer.Option(help="CSV with ref,dist of other pictures, for attacks that are trained.")
    ] = None,
    train_steps: Annotated[int, typer.Option(min=1, help="Steps of that training.")] = 200,
    seed: int = 0,
    metric: Annotated[
        str,
        typer.Option(
            help="A metric's name, name.tag or folder; piq:vsi, pyiqa:topiq_fr, python:module:name "
            "of a function of torch pictures (dist, ref), each (N, 3, H, W) in 0..1."
        ),
    ] = "birqa",
    device: options.Device = None,
    resize: options.Resize = "none",
    match: options.Match = "path",
    allow_unmatched: options.AllowUnmatched = False,
    as_json: options.Json = False,
) -> None:
    """Change pictures, hardly visibly, so that their score moves; say how far it and they did.

    Scores and changes are those of the saved 8-bit files. A broken run over many pictures is resumed by
    running it again. Exit code: 0 all attacked, 2 something could not be.
    """
    from birqa.metric import require_torch

    require_torch()
    from collections.abc import Iterable
    from dataclasses import replace

    import torch

    from birqa.attacks import TrainedAttack, create_attack
    from birqa.attacks.base import check_budgets
    from birqa.attacks.files import (
        TABLE,
        Outcome,
        Target,
        attack_file,
        attack_folder,
        choose_directions,
        write_table,
    )
    from birqa.attacks.subjects import load_subject
    from birqa.pairing import IMAGE_SUFFIXES, Pair, pair_inputs, read_pairs_csv
    from birqa.training.batches import files_digest, unrated_batches

    chosen = create_attack(attack, **_settings(setting or []), seed=seed, eight_bit=True)
    limit = _number(budget)
    check_budgets([limit])
    levels = 255 * limit
    if levels < 1 - 1e-6:
        raise ValueError(
            f"8-bit pictures move by whole grey levels, so within {budget} not at all: give 1/255 or more."
        )
    if abs(levels - round(levels)) > 1e-6:
        print(
            f"birqa: 8-bit pictures move by whole grey levels, so within {budget} by {int(levels)} at most.",
            file=sys.stderr,
        )
    pairs, unmatched = pair_inputs(ref, dist, match)
    options.report_unmatched(unmatched, match)
    one_picture = not ref.is_dir() and len(dist) == 1 and not dist[0].is_dir()
    if one_picture and out.suffix.lower() != ".png":
        raise typer.BadParameter(f"{out}: name the attacked picture .png, which keeps it as it is")
    if not one_picture and out.suffix.lower() in IMAGE_SUFFIXES:
        raise typer.BadParameter(f"{out} is a picture's name; several attacked pictures need a folder")
    options.check_output(out, [ref, *dist, train_pairs], folder=not one_picture)
    place = device or "cpu"
    subject = load_subject(metric, place)
    target = Target(subject.metric, subject.surrogate(chosen, gradient), place, resize)
    if direction == "bidirectional" and len(pairs) == 1:
        print(
            "birqa: one picture is its own mean, so it is pushed up; give --direction down.", file=sys.stderr
        )
    directions = choose_directions(target, pairs, direction)
    trained_on: str | None = None
    others: list[Pair] = []
    if isinstance(chosen, TrainedAttack):
        if train_pairs is None:
            raise typer.BadParameter(f"{attack} is trained on other pictures first: give --train-pairs CSV")
        others = read_pairs_csv(train_pairs)
        trained_on = files_digest(others)
    settings = {
        **chosen.settings(),
        "budget": limit,
        "direction": direction,
        "gradient": subject.followed(chosen, gradient) if chosen.white_box else None,
        "metric": subject.identity,
        "resize": resize,
        "train_pairs": str(train_pairs) if train_pairs else None,
        "train_digest": trained_on,
        "train_steps": train_steps if train_pairs else None,
    }
    trained: set[str] = set()

    def prepare(way: str) -> None:
        if not isinstance(chosen, TrainedAttack) or way in trained:
            return
        print(f"birqa: training {attack} to push scores {way}, {train_steps} steps", file=sys.stderr)
        batches = (
            (torch.from_numpy(crops.dist).to(place), torch.from_numpy(crops.ref).to(place))
            for crops in unrated_batches(others, train_steps, seed=seed)
        )
        chosen.train(target.surrogate, batches, 1 if way == "up" else -1)
        trained.add(way)

    results: Iterable[tuple[Pair, Outcome | str]]
    if one_picture:
        prepare(directions[0])
        with options.progress_bar("Attacking") as progress:
            counted = replace(target, surrogate=_counted(target.surrogate, progress, chosen.calls))
            results = [(pairs[0], attack_file(chosen, counted, pairs[0], out, limit, directions[0]))]
    else:
        # Attacks as results are asked for; what is done already needs no training again.
        results = attack_folder(chosen, target, pairs, out, limit, directions, settings, prepare)
    if not as_json:
        print(f"# {json.dumps(settings)}")
        print("before", "after", "PSNR", "SSIM", "picture", sep="\t", flush=True)
    outcomes, failed = [], bool(unmatched) and not allow_unmatched
    for pair, outcome in options.with_progress(iter(results), len(pairs)):
        if isinstance(outcome, str):
            failed = True
            print(f"birqa: {naming(pair.dist, outcome)}", file=sys.stderr)
            continue
        outside = subject.outside(torch.tensor([outcome.before, outcome.after]))
        if outside:
            failed = True
            print(f"birqa: {naming(pair.dist, outside)}", file=sys.stderr)
        outcomes.append(outcome)
        if not as_json:
            parts = [f"{value:.4f}" for value in (outcome.before, outcome.after, outcome.psnr, outcome.ssim)]
            print(*parts, options.shown(Path(outcome.attacked)), sep="\t", flush=True)
    if as_json:
        records = [outcome.to_json() for outcome in outcomes]
        print(json.dumps({"settings": settings, "outcomes": records}, indent=1))
    if not one_picture:
        # Without what an earlier run did to other pictures.
        write_table(out / TABLE, outcomes)
    raise typer.Exit(2 if failed else 0)


def _counted(metric: "Metric", progress: "Callable[[int, int], None]", calls: int) -> "Metric":
    """The metric, which tells how many of about so many calls are made."""
    made = 0

    def score(dist: "Tensor", ref: "Tensor") -> "Tensor":
        nonlocal made
        made += 1
        progress(min(made, calls), calls)
        return metric(dist, ref)

    return score


def _settings(texts: list[str]) -> dict[str, Any]:
    """ "steps=20" -> {"steps": 20}."""
    settings = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name in ("seed", "eight_bit"):
            told = "--seed sets it" if name == "seed" else "what is saved is always 8-bit"
            raise typer.BadParameter(f"--set {text}: {told}")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            raise typer.BadParameter(f"--set {text}: write NAME=NUMBER, as steps=20") from None
    return settings


def _number(text: str) -> float:
    """ "8/255" or "0.03"."""
    top, _, bottom = text.partition("/")
    try:
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        raise typer.BadParameter(f"--budget {text}: write a number as 8/255 or 0.03") from None
