"""birqa robustness: a robustness card. birqa leaderboard: cards side by side."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from birqa.cli import options


def command(
    metric: Annotated[
        str,
        typer.Argument(
            help="A metric's name, name.tag or folder; piq:vsi, pyiqa:topiq_fr, python:module:name "
            "of a function of torch pictures (dist, ref), each (N, 3, H, W) in 0..1."
        ),
    ],
    data: Annotated[Path, typer.Option(help="CSV with ref,dist,mos[,type,level]: the pictures to attack.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="The card to write, JSON.", show_default="METRIC.robustness.json here"
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the card calls the data; default: their folder's name.")
    ] = None,
    about: Annotated[
        str,
        typer.Option(help="What readers of the figures should know of the data: a sentence for the page."),
    ] = "",
    protocol: Annotated[
        Path | None,
        typer.Option(
            help="JSON with attacks, budgets and pictures; default: FGSM, PGD, C&W and AutoAttack, "
            "shortened, on the middle 128x128 of 75 pairs."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--pairs", min=3, help="How many pairs to attack, in the protocol's place.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="A metric beside which the IR-Score is given, as the undefended one.")
    ] = None,
    purify: Annotated[
        str | None, typer.Option(help="Put a purifier before the metric: flip, rotate, resize, crop, ...")
    ] = None,
    gradient: Annotated[
        str | None, typer.Option(help="What attackers differentiate: straight-through, soft, hard, bare ...")
    ] = None,
    train_pairs: Annotated[
        Path | None, typer.Option(help="CSV with ref,dist of other pictures, for attacks that are trained.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where scores are kept to go on from; default: beside the card.")
    ] = None,
    device: options.Device = None,
) -> None:
    """Attack a metric on rated pictures; write down how far it holds, as a robustness card.

    Every attack pushes every picture up and down, at every budget; figures carry 95 % intervals over
    references. A run that was broken off goes on where it was. Exit code: 0 measured, 2 could not be.
    """
    from birqa.metric import require_torch

    require_torch()
    from dataclasses import replace

    from birqa.attacks.subjects import load_subject
    from birqa.files import replacing
    from birqa.pairing import read_pairs_csv
    from birqa.ratings import read_rated_pairs
    from birqa.robustness.card import make_card
    from birqa.robustness.protocol import USUAL, load_protocol
    from birqa.robustness.purification import purified
    from birqa.robustness.subset import stratified

    plan = load_protocol(protocol) if protocol else USUAL
    if count is not None:
        plan = replace(plan, pairs=count)
    pairs = read_rated_pairs(data)
    chosen = stratified(pairs, plan.pairs or len(pairs), plan.seed)
    subject = load_subject(metric, device or "cpu")
    if purify:
        subject = purified(subject, purify)
    if out is None:
        out = Path(re.sub(r"[^\w.+-]+", "-", subject.name) + ".robustness.json")
    options.check_output(out, [data, protocol, train_pairs])
    options.check_output(cache, [data, protocol, train_pairs, out])
    with options.progress_bar("Attacking") as progress:
        card = make_card(
            subject,
            name or data.resolve().parent.name,
            chosen,
            plan,
            cache or out.with_suffix(".cache.jsonl"),
            load_subject(base, device or "cpu") if base else None,
            gradient,
            read_pairs_csv(train_pairs) if train_pairs else [],
            progress,
            about=about,
        )
    with replacing(out) as part:
        part.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    _print(card)
    print(out)
    for warning in card["warnings"]:
        print(f"birqa: {warning}", file=sys.stderr)


def leaderboard(
    cards: Annotated[list[Path], typer.Argument(help="Robustness cards, or folders with them.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The page to write, Markdown.")],
) -> None:
    """Lay robustness cards side by side: a page with tables, and pictures beside it.

    Cards that were not measured on the same pairs with the same attacks come in tables of their own.
    """
    from birqa.robustness.leaderboard import load_card, write_page

    files = [file for path in cards for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise typer.BadParameter("there is no card: make one with birqa robustness")
    options.check_output(out, files)
    for path in write_page([load_card(file) for file in files], out):
        print(path)


def _print(card: dict[str, Any]) -> None:
    from birqa.robustness.leaderboard import at_headline

    headline = card["threat_model"]["headline"]
    clean = card["clean"]
    print(f"{card['metric']['name']} on {card['data']['pairs']} pairs, budget {255 * headline:g}/255")
    print("attack", "SROCC", "95 %", "gain up", "2AFC", "IR-Score", sep="\t")
    low, high = clean["srocc_interval"]
    print(
        "none",
        f"{clean['srocc']:.3f}",
        f"{low:.3f} .. {high:.3f}",
        "",
        _figure(clean, "two_afc"),
        "",
        sep="\t",
    )
    for attack in card["attacks"]:
        at = at_headline(attack)
        ranks = at["bidirectional"]
        low, high = ranks["srocc_interval"]
        print(
            attack["settings"]["attack"],
            f"{ranks['srocc']:.3f}",
            f"{low:.3f} .. {high:.3f}",
            f"{at['up']['gain']:+.3f}",
            _figure(at, "two_afc"),
            _figure(attack, "ir_score"),
            sep="\t",
        )


def _figure(record: dict[str, Any], name: str) -> str:
    return f"{record[name]:.3f}" if name in record else ""
