"""Robustness cards side by side, as a page and as a picture."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from birqa.attacks import ATTACKS
from birqa.attacks.honest import Honest
from birqa.files import replacing
from birqa.robustness.card import FORMAT

Card = dict[str, Any]


def load_card(path: Path) -> Card:
    """Raises ValueError for a file that is no card, or one of another format."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        known = card["format"] == FORMAT
        if known:
            # What the page needs of a card is written once, in what makes the page.
            "\n".join(_group([card]))
            for attack in card["attacks"]:
                _curve(card, attack)
        elif "kind" in card:
            raise LookupError("a certificate or a model, which say what they are")
    except (AttributeError, LookupError, TypeError, ValueError):
        raise ValueError(f"{path} is no robustness card: make one with birqa robustness.") from None
    if not known:
        raise ValueError(f"{path} is a card of format {card['format']}, not {FORMAT}: measure it again.")
    return dict(card)


def comparable(cards: Sequence[Card]) -> list[list[Card]]:
    """Cards in groups that were measured in the same way on the same pairs, the largest group first."""
    groups: dict[str, list[Card]] = {}
    for card in cards:
        alike = [card["data"], card["protocol"], card["threat_model"]["knowledge"]]
        groups.setdefault(json.dumps(alike), []).append(card)
    return sorted(groups.values(), key=len, reverse=True)


def write_page(cards: Sequence[Card], page: Path) -> list[Path]:
    """A Markdown page, and beside it a picture for each group: SROCC against the budget. Gives all paths.

    Pictures that a former page of that name showed and this one does not are removed. Raises ValueError
    where a picture would replace one that is of no such page.
    """
    groups = comparable(cards)
    pictures = [page.with_name(f"{page.stem}-{number}.png") for number in range(1, len(groups) + 1)]
    former = _pictures_of(page)
    for picture in pictures:
        if picture.exists() and picture not in former:
            raise ValueError(
                f"{picture} is there already and of no earlier page: give the page another name."
            )
    lines = [
        f"# {page.stem.replace('-', ' ').capitalize()}",
        "",
        "Made from robustness cards by `birqa leaderboard`, never edited. Every attack is made anew on the "
        "metric it attacks, of which it knows what the table says. Bidirectional: pictures rated above the "
        "mean are pushed down, the others up. 2AFC: of two pictures of one reference, the better rated is "
        "pushed down and the other up; the share still ordered rightly. IR-Score (ours): 1 - the change of "
        "scores integrated over the budgets, as a share of that of the base, on the scale of the ratings. "
        "Intervals: 95 %, bootstrap over references. These are measurements against these attacks, made with "
        "the settings below each table, which are weaker than their authors' where that took too long; they "
        "are not bounds on others.",
        "",
    ]
    for group, picture in zip(groups, pictures, strict=True):
        lines += [*_group(group), f"![SROCC against the budget]({picture.name})", ""]
    with replacing(page) as part:
        part.write_text("\n".join(lines), encoding="utf-8")
    for group, picture in zip(groups, pictures, strict=True):
        _draw(group, picture)
    for left in former.difference(pictures):
        left.unlink(missing_ok=True)
    return [page, *pictures]


def _pictures_of(page: Path) -> set[Path]:
    """Those that the page of that name shows now, where there is one."""
    if not page.exists():
        return set()
    shown = re.findall(r"^!\[SROCC against the budget\]\((.+-\d+\.png)\)$", page.read_text("utf-8"), re.M)
    return {page.with_name(Path(name).name) for name in shown}


def _outdone(cards: Sequence[Card]) -> list[str]:
    """A sentence where attacks have become stronger since the cards were measured."""
    former = {
        settings["attack"]
        for card in cards
        for settings in (attack["settings"] for attack in card["attacks"])
        if settings["attack"] in ATTACKS
        and settings.get("revision", 1) < ATTACKS[settings["attack"]].revision
    }
    if not former:
        return []
    names = ", ".join(name for name in ATTACKS if name in former)
    told = f"Measured before these attacks became stronger: {names}. Measured again, metrics may hold less."
    return [told, ""]


def _group(cards: Sequence[Card]) -> list[str]:
    first = cards[0]
    data, protocol = first["data"], first["protocol"]
    attacks = [attack["settings"]["attack"] for attack in first["attacks"]]
    ordered = sorted(cards, key=_worst, reverse=True)
    yardstick = (
        " Of these, honest is no attack: it really restores or degrades each picture as far as the budget "
        "goes, the metric unasked. Ranks that fall there fall rightly; to be moved less is no merit."
        if Honest.name in attacks
        else ""
    )
    headline = 255 * first["threat_model"]["headline"]
    budgets = ", ".join(f"{255 * budget:g}" for budget in protocol["budgets"])
    shape = (
        f"the middle {protocol['crop']}x{protocol['crop']} of each" if protocol["crop"] else "whole pictures"
    )
    about = dict.fromkeys(card["about"] for card in cards if card.get("about"))
    lines = [
        f"## {data['name']}: {data['pairs']} pairs of {data['references']} references, {shape}",
        "",
        f"Attacked by {', '.join(attacks)} within {budgets}/255. The attacker knows "
        f"{first['threat_model']['knowledge']}.{yardstick} Best worst case first. SROCC under "
        f"bidirectional attack, budget {headline:g}/255.",
        "",
        *(line for sentence in about for line in (sentence, "")),
        *_outdone(cards),
        *_table(["metric", "clean", *attacks], ["---:"] * (1 + len(attacks)), [
            [name_of(card), with_range(card["clean"], "srocc")]
            + [with_range(at_headline(attack)["bidirectional"], "srocc") for attack in card["attacks"]]
            for card in ordered
        ]),
        f"SROCC with all pictures pushed up / all pushed down, budget {headline:g}/255:",
        "",
        *_table(["metric", *attacks], ["---:"] * len(attacks), [
            [name_of(card)]
            + [
                " / ".join(f"{at_headline(attack)[way]['srocc']:.3f}" for way in ("up", "down"))
                for attack in card["attacks"]
            ]
            for card in ordered
        ]),
        f"Mean gain of pictures pushed up, budget {headline:g}/255, as a share of the range of clean scores:",
        "",
        *_table(["metric", *attacks], ["---:"] * len(attacks), [
            [name_of(card)]
            + [_gain(at_headline(attack)["up"]) for attack in card["attacks"]]
            for card in ordered
        ]),
    ]  # fmt: skip
    if any("two_afc" in card["clean"] for card in cards):
        lines += [
            f"2AFC accuracy, budget {headline:g}/255:",
            "",
            *_table(["metric", "clean", *attacks], ["---:"] * (1 + len(attacks)), [
                [name_of(card), with_range(card["clean"], "two_afc")]
                + [with_range(at_headline(attack), "two_afc") for attack in card["attacks"]]
                for card in ordered
            ]),
        ]  # fmt: skip
    defended = [card for card in ordered if any("ir_score" in attack for attack in card["attacks"])]
    if defended:
        lines += [
            f"IR-Score over {{{budgets}}}/255:",
            "",
            *_table(["metric", "base", *attacks], ["---"] + ["---:"] * len(attacks), [
                [name_of(card), card["base"]["name"]]
                + [with_range(attack, "ir_score") for attack in card["attacks"]]
                for card in defended
            ]),
        ]  # fmt: skip
    lines += ["Attacks: " + "; ".join(f"`{json.dumps(a['settings'])}`" for a in first["attacks"]) + "."]
    if any("train_budget" in attack["settings"] for attack in first["attacks"]):
        lines[-1] += (
            f" Those with a train_budget learned in {protocol['train_steps']} steps on crops of "
            f"{protocol['train_crop']}x{protocol['train_crop']} of other photographs."
        )
    lines.append("")
    lines += [
        f"Sanity, on {first['sanity'].get('pictures', 4)} pictures: exact zeros in each form of the "
        "gradient, and the mean gain upwards at the largest budget tried, by what the attacker followed.",
        "",
    ]
    for card in ordered:
        zeros, gains = card["sanity"]["zero_gradients"], card["sanity"]["gains"]
        seen = [f"{form} {share:.0%} zeros" for form, share in zeros.items()]
        seen += [
            f"{attack} {by_budget[max(by_budget, key=float)]:+.3f}" for attack, by_budget in gains.items()
        ]
        lines.append(f"- {name_of(card)}: {', '.join(seen)}. {'; '.join(_doubts(card)) or 'No doubts'}.")
    return [*lines, ""]


def _table(head: Sequence[str], alignment: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|---|{'|'.join(alignment)}|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def name_of(card: Card) -> str:
    """The metric and its version, without the fingerprint."""
    name, version = card["metric"]["name"], card["metric"]["version"].split(" ")[0]
    return f"{name} {version}".strip()


def at_headline(attack: Card) -> Card:
    """At the headline budget."""
    found: Card
    (found,) = (one for one in attack["budgets"] if one["headline"])
    return found


def _doubts(card: Card) -> list[str]:
    idle = [
        attack["settings"]["attack"]
        for attack in _cheating(card)
        if at_headline(attack)["up"]["relative_gain"] <= 0
    ]
    told = f"{' and '.join(idle)} raised no scores: what is shown of them comes from pushing scores down"
    return [*card["warnings"], *([told] if idle else [])]


def _worst(card: Card) -> float:
    return min(at_headline(attack)["bidirectional"]["srocc"] for attack in _cheating(card))


def _cheating(card: Card) -> list[Card]:
    """The attacks, without the yardstick where there are others."""
    attacks: list[Card] = card["attacks"]
    return [attack for attack in attacks if attack["settings"]["attack"] != Honest.name] or attacks


def with_range(record: Card, name: str) -> str:
    """The figure of that name and its interval; empty where the record has none."""
    if name not in record:
        return ""
    low, high = record[f"{name}_interval"]
    return f"{record[name]:.3f} ({low:.2f} .. {high:.2f})"


def _gain(record: Card) -> str:
    low, high = record.get("relative_gain_interval", (None, None))
    return f"{record['relative_gain']:+.3f}" + ("" if low is None else f" ({low:+.2f} .. {high:+.2f})")


def _curve(card: Card, attack: Card) -> list[tuple[float, float, list[float]]]:
    """Budget in units of 1/255, SROCC and its interval, from the clean pictures on."""
    clean = card["clean"]
    return [(0.0, clean["srocc"], clean["srocc_interval"])] + [
        (255 * at["budget"], at["bidirectional"]["srocc"], at["bidirectional"]["srocc_interval"])
        for at in sorted(attack["budgets"], key=lambda one: float(one["budget"]))
    ]


def _draw(cards: Sequence[Card], path: Path) -> None:
    from birqa.plots import new_figure, save_figure

    attacks = cards[0]["attacks"]
    figure = new_figure(3.2 * len(attacks), 3.4)
    panels = figure.subplots(1, len(attacks), sharey=True, squeeze=False)[0]
    for number, (axes, attack) in enumerate(zip(panels, attacks, strict=True)):
        for card in cards:
            steps, values, ranges = zip(*_curve(card, card["attacks"][number]), strict=True)
            axes.plot(steps, values, "o-", markersize=3, label=name_of(card))
            axes.fill_between(steps, *zip(*ranges, strict=True), alpha=0.12)
        axes.set_title(attack["settings"]["attack"])
        axes.set_xlabel("budget, 1/255")
    panels[0].set_ylabel("SROCC, bidirectional")
    panels[0].legend(fontsize=7)
    save_figure(figure, path, dpi=110)
