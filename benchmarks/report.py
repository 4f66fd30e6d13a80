"""docs/results.md and the model cards' pages, from the measurements in benchmarks/results.

python benchmarks/report.py
python benchmarks/report.py --faithful   # only how near the re-made TID2013 is, for pages of other commands
"""

import csv
import math
import statistics
import sys
from pathlib import Path
from typing import Any

import report_blind
from birqa.attacks.honest import Honest
from birqa.evaluation.faithfulness import PUBLISHED_SROCC
from birqa.files import replacing
from birqa.registry import find_model, list_models
from birqa.robustness.leaderboard import at_headline, name_of, with_range
from report_blind import RESULTS, load, measured

ROOT = Path(__file__).parent.parent
DATA = {
    "tid2013": (
        "Re-synthesised TID2013, all 24 types",
        "All 24 types x 5 levels of TID2013 made again on the 24 Kodak crops that TID2013 used, with the "
        "human rating of each picture; fourteen of the types only approximately (`birqa data tid2013 --types "
        "all`). Never trained on; but three decisions were made after readings on it (see the card), and "
        "half of each training label is the opinion of MDSI and HaarPSI. The published column is SROCC on "
        "the real TID2013, for scale: on a re-made one strong metrics read some hundredths lower. The "
        "paper's BiRQA, 5.5 M parameters trained on the real KADID-10k, has .921 there.",
    ),
    "tid2013-exact": (
        "Re-synthesised TID2013, ten nearly exact types",
        "Types 1, 2, 3, 5, 7, 8, 10, 16, 17 and 19 of TID2013 made again on the 24 Kodak crops that TID2013 "
        "used, with the human rating of each picture. Never trained on; see above. These are not TID2013's "
        "own files: metrics keep their order on such a set, and strong ones read some hundredths lower.",
    ),
    "kadid-test": (
        "KADID-10k distortions and mean ratings on held-out photographs",
        "All 25 types x 5 levels on 20 of the 76 test photographs, all of CID22, as most training "
        "photographs are. Each label is the mean human rating of its (type, level) cell, not of the "
        "picture: the 125 labels are among those trained on, only the photographs are new.",
    ),
    "kadid-test-all": (
        "The same on all test photographs",
        "All 76 of them: 41 of CID22, 11 of CLIC 2025 and Kodak's 24; labels as above.",
    ),
    "tid2013-lite": (
        "What birqa.lite costs on re-synthesised TID2013",
        "The weights that take a third of the time (below, accuracy against time) beside the default.",
    ),
    "kadid-test-lite": (
        "What birqa.lite costs on KADID-10k's distortions",
        "The same on held-out photographs; labels as above.",
    ),
    "tid2013-hardened": (
        "What hardening costs on re-synthesised TID2013",
        "The shipped weights beside the hardened ones, on pictures as they are; the aim was to lose at most "
        ".015. See [robustness.md](robustness.md) for pictures under attack.",
    ),
    "kadid-test-hardened": (
        "What hardening costs on KADID-10k's distortions",
        "The same on held-out photographs; the labels are those trained on.",
    ),
    "kadid-test-tid": (
        "What training on TID2013 as well costs on KADID-10k's distortions",
        "The shipped weights beside those that were trained on re-synthesised TID2013 too, on held-out "
        "photographs; labels are what KADID-10k's people said of each (type, level) cell.",
    ),
}


BY_TIME = {"birqa (onnx)": "birqa.kadid", "birqa.lite (onnx)": "birqa.lite"}
"""What the timing table calls weights."""
# SROCC on the real TID2013.
PUBLISHED = {"tid2013": PUBLISHED_SROCC}
NAMES = {
    "torchmetrics:psnr": "PSNR (RGB)",
    "torchmetrics:psnr-luma": "PSNR (luma)",
    "torchmetrics:ssim": "SSIM (luma)",
    "torchmetrics:ms-ssim": "MS-SSIM (luma)",
    "piq:vif_p": "VIF (pixel)",
    "piq:fsim": "FSIMc",
    "piq:vsi": "VSI",
    "piq:gmsd": "GMSD",
    "piq:mdsi": "MDSI",
    "piq:haarpsi": "HaarPSI",
}


def check_version(name: str, record: Any) -> None:
    installed = [f"{model.name} {model.version}" for model in list_models()]
    if f"{record['metric']} {record['version']}" not in installed:
        raise SystemExit(
            f"{name} was measured with {record['metric']} {record['version']}: run make results again"
        )


def check_fingerprint(name: str, model: str, measured: list[str], again: str) -> None:
    """`measured` holds the fingerprint of the weights that were attacked."""
    if find_model(model).fingerprint not in measured:
        raise SystemExit(f"{name} was measured with other weights of {model}: run {again} again")


def accuracy(name: str) -> list[str]:
    title, what = DATA[name]
    record = load(name)
    check_version(name, record)
    published = PUBLISHED.get(name, {})
    lines = [f"## {title}", "", what, ""]
    lines += [
        f"{record['pairs']:,} pairs, {record['references']} references. Intervals: 95 %, bootstrap over "
        f"references, {record['resamples']:,} resamples (seed 0), paired for the difference of SROCC; `make "
        f"benchmarks/results/{name}.json`.{_faithful() if name.startswith('tid2013') else ''}",
        "",
        "| metric | SROCC | 95 % | KROCC | PLCC | PLCC, fitted | RMSE | birqa minus this | 95 % |"
        + (" published |" if published else ""),
        "|---|---:|---|---:|---:|---:|---:|---:|---|" + ("---:|" if published else ""),
    ]
    for agreement, gap in zip(record["agreements"], [None, *record["differences"]], strict=True):
        low, high = agreement["intervals"]["srocc"]
        label = NAMES.get(agreement["metric"], agreement["metric"])
        apart = " | "
        if gap is not None:
            apart = "{:+.3f} | {:+.3f} .. {:+.3f}".format(gap["median"], *gap["interval"])
            worse = gap["interval"][1] < 0
            apart += "" if gap["significant"] else " (worse)" if worse else " (no clear difference)"
        figures = (
            "{:.3f} ({:.3f} .. {:.3f})".format(agreement[key], *agreement["intervals"][key])
            for key in ("krocc", "plcc", "plcc_fitted", "rmse")
        )
        cells = [label, f"{agreement['srocc']:.3f}", f"{low:.3f} .. {high:.3f}", *figures, apart]
        if published:
            known = published.get(agreement["metric"])
            cells.append("" if known is None else f"{known:.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    for label, title in (("type", "distortion type"), ("level", "level, all types together")):
        kinds = list(record["agreements"][0]["srocc_by"].get(label, {}))
        lines += ["", f"SROCC by {title}:", "", "| metric | " + " | ".join(kinds) + " |"]
        lines.append("|---|" + "---:|" * len(kinds))
        for agreement in record["agreements"]:
            within = agreement["srocc_by"][label]
            values = " | ".join(f"{within[kind]:.2f}" if kind in within else "" for kind in kinds)
            lines.append(f"| {NAMES.get(agreement['metric'], agreement['metric'])} | {values} |")
    return [*lines, ""]


def _faithful(page: str = "") -> str:
    """How near the pictures are to TID2013's own, in a sentence."""
    metrics = measured("faithfulness").get("metrics", [])
    shares = [one["rank_agreement"] for one in metrics if one["rank_agreement"]]
    if not shares:
        # The authors' values for each picture were not at hand (docs/reproducing.md).
        return ""
    return (
        f" On the re-made pictures {len(shares)} metrics rank as on TID2013's own with SROCC "
        f"{min(shares):.3f} to {max(shares):.3f} "
        f"([how near]({page}#how-near-the-re-made-tid2013-is-to-the-real-one))."
    )


def faithfulness() -> list[str]:
    record = load("faithfulness")
    lines = [
        "## How near the re-made TID2013 is to the real one",
        "",
        f"{record['pairs']:,} re-made pairs; SROCC with the ratings. Published: on the real database, 3,000 "
        "pairs. Real, these pairs: from the values that the database's authors publish for each picture; "
        "agreement: SROCC between a metric's values on the re-made and on the real pictures. `birqa data "
        "faithfulness`.",
        "",
        "| metric | published | real, these pairs | re-made | agreement |",
        "|---|---:|---:|---:|---:|",
    ]

    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:.3f}"

    for one in record["metrics"]:
        figures = (cell(one[key]) for key in ("published", "real", "remade", "rank_agreement"))
        lines.append(f"| {NAMES[one['metric']]} | {' | '.join(figures)} |")
    compared = [one for one in record["metrics"] if one["real_by_type"]]
    if compared:
        kinds = list(compared[0]["real_by_type"])
        lines += ["", "By type, real / re-made, and the agreement below it:", ""]
        lines += ["| metric | " + " | ".join(kinds) + " |", "|---|" + "---:|" * len(kinds)]
        for one in compared:
            both = (f"{one['real_by_type'][k]:.2f} / {one['remade_by_type'][k]:.2f}" for k in kinds)
            agreement = (f"{one['rank_agreement_by_type'][k]:.2f}" for k in kinds)
            lines.append(f"| {NAMES[one['metric']]} | {' | '.join(both)} |")
            lines.append(f"| | {' | '.join(agreement)} |")
        means = {
            kind: statistics.mean(one["rank_agreement_by_type"][kind] for one in compared) for kind in kinds
        }
        weakest = sorted(kinds, key=lambda kind: means[kind])[:3]
        told = ", ".join(f"{kind} ({means[kind]:.2f})" for kind in weakest)
        lines += ["", f"Least alike, by the mean agreement: types {told}."]
    return [*lines, ""]


def outside() -> list[str]:
    record = load("outside")
    check_version("outside", record)
    rows = record["rows"]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    lines = [
        "## Order outside the rated databases",
        "",
        "Series of pictures in which one damage grows from step to step, on held-out photographs and on "
        "screens drawn for it; nobody has rated them. Share of the steps at which the score falls / mean "
        f"SROCC of the score with the step, sign turned; {rows[0]['pictures']} pictures a series. First and "
        "last: our mean score at the ends. birqa.kadid-aat was trained on the order of steps of JPEG, "
        "WebP, noise and scales, on other photographs, and chosen after a reading of these series. "
        "`make benchmarks/results/outside.json`.",
        "",
        "| series | " + " | ".join(NAMES.get(name, name) for name in metrics) + " | first | last |",
        "|---|" + "---:|" * (len(metrics) + 2),
    ]
    for series in dict.fromkeys(row["series"] for row in rows):
        each = [row for row in rows if row["series"] == series]
        cells = [f"{row['falling_steps']:.2f} / {row['srocc']:.2f}" for row in each]
        lines.append(f"| {series} | {' | '.join(cells)} | {each[0]['first']:.2f} | {each[0]['last']:.2f} |")
    return [*lines, ""]


def cuts() -> list[str]:
    record = load("cuts")
    check_version("cuts", record)
    shares = list(record["rows"][0]["spread"])
    lines = [
        "## A pair cut elsewhere",
        "",
        f"{record['pairs']} pairs of re-synthesised TID2013, both pictures cut at {len(record['cuts'])} "
        "places up to 16 pixels apart, to one size: how far the scores of one pair lie apart, and in "
        "brackets as a share of the scatter (standard deviation) of the scores of all pairs. Scores of "
        "pictures that were cut otherwise should not be compared more finely. `make "
        f"benchmarks/results/cuts.json`.{_faithful()}",
        "",
        "| metric | " + " | ".join(f"{float(share):.0%} of pairs, at most" for share in shares) + " | most |",
        "|---|" + "---:|" * (len(shares) + 1),
    ]
    for row in record["rows"]:
        values = [*row["spread"].values(), row["most"]]
        cells = " | ".join(f"{value:.3f} ({value / row['scale']:.2f})" for value in values)
        lines.append(f"| {NAMES.get(row['metric'], row['metric'])} | {cells} |")
    return [*lines, ""]


def fine_tuning() -> list[str]:
    record = load("fine-tuning")
    lines = [
        "## Fine-tuning on some hundred pairs",
        "",
        f"The example of [fine-tuning.md](fine-tuning.md): {record['training_pairs']} training pairs of "
        f"re-synthesised TID2013's types {', '.join(record['types'])}, {record['minutes']:.0f} minutes on "
        f"{record['device']}, one seed, one split; tested on references that were not trained on. "
        f"`make benchmarks/results/fine-tuning.json`.{_faithful()}",
        "",
        "| test pairs | weights | pairs | references | SROCC | 95 % | PLCC |",
        "|---|---|---:|---:|---:|---|---:|",
    ]
    for row in record["evaluations"]:
        kind = "those types" if row["pairs"] == "own" else "the other types, not trained on"
        low, high = row["interval"]
        lines.append(
            f"| {kind} | {row['weights']} | {row['n']} | {row['references']} | {row['srocc']:.3f} | "
            f"{low:.3f} .. {high:.3f} | {row['plcc']:.3f} |"
        )
    return [*lines, ""]


def same_database() -> list[str]:
    record = load("same-database")
    splits = record["splits"]
    alone, told = (statistics.mean(one[name] for one in splits) for name in ("types_alone", "types_told"))
    return [
        "## Same-database accuracy, re-synthesised TID2013",
        "",
        f"{len(splits)} random splits of the references 6:2:2, each fine-tuned from {record['start']} for "
        f"{record['steps']:,} steps and tested on the last fifth: mean SROCC {record['mean_srocc']:.3f}, "
        f"spread {record['spread_srocc']:.3f} ("
        + ", ".join(f"{one['srocc']:.3f}" for one in splits)
        + "). Published for BiRQA on the real TID2013, ten splits, trained there from the start: .959; the "
        "aim was .95. Who is told nothing but the type and level of each picture, and gives it the mean "
        f"rating that these have on the other references, reaches {alone:.3f} on the same splits, and more "
        f"than the network on {sum(one['types_alone'] > one['srocc'] for one in splits)} of them; who is "
        f"told even the mean that they have on the test references themselves, {told:.3f}: the rest is how "
        f"people tell pictures of one type and level apart.{_faithful()} `{record['command']}`.",
        "",
    ]


def two_databases() -> list[str]:
    record = load("two-databases")
    lines = [
        "## What the people of KADID-10k and of TID2013 say of the same distortions",
        "",
        "Mean ratings, TID2013's brought to KADID-10k's scale by a line through the distortions that both "
        f"made alike ({record['worst']:.3f} becomes 0, {record['best']:.3f} becomes 1; root mean square "
        f"error {record['error']:.3f}). No picture and no metric takes part. "
        "`make benchmarks/results/two-databases.json`.",
        "",
        "| distortion | strength | TID2013 | KADID-10k |",
        "|---|---:|---:|---:|",
    ]
    for row in record["common"] + record["apart"]:
        lines.append(
            f"| {row['type']} | {row['strength']:.3g} | {row['tid2013']:.2f} | {row['kadid10k']:.2f} |"
        )
    return [
        *lines,
        "",
        "They agree on blur, JPEG and noise, and not on contrast: TID2013's people like more of it and "
        "dislike less of it, KADID-10k's mind both. That bounds what labels from one database can say of the "
        "other: the mean rating of each cell of TID2013, told by its own people, has SROCC "
        f"{record['cell_means']:.3f} with its ratings; with contrast as KADID-10k's people see it, "
        f"{record['contrast_as_kadid']:.3f}; with mean shift as well, "
        f"{record['contrast_and_mean_shift_as_kadid']:.3f}.",
        "",
    ]


def cell_errors() -> list[str]:
    record = load("cell-errors")
    check_version("cell-errors", record)
    names = {one["type"]: one["name"] for one in record["types"]}
    dearest = sorted(record["types"], key=lambda one: -one["srocc"])
    first, second = (names[kind] for kind in record["dearest"])
    lines = [
        "## Which types cost how much of it",
        "",
        f"{record['metric']} on re-synthesised TID2013, SROCC {record['srocc']:.3f}: scores brought to the "
        "scale of the ratings by a logistic curve, then, in one type of distortion, the mean score of each "
        "level replaced by the mean rating that this level has there, as if it had been known; pictures of "
        "one type and level keep their distances. Error: mean score less mean rating, ratings from 0 to 1. "
        f"`make benchmarks/results/cell-errors.json`.{_faithful()}",
        "",
        "| type | | error | SROCC, were its means right |",
        "|---:|---|---:|---:|",
    ]
    lines += [
        f"| {one['type']} | {one['name']} | {one['error']:+.3f} | {one['srocc']:.3f} |" for one in dearest
    ]
    return [
        *lines,
        "",
        f"With {first} and {second} right it were {record['without_dearest']:.3f}, with all "
        f"types {record['without_any']:.3f}; their mean ratings alone, all pictures of a type and "
        f"level scored alike, have {record['ratings_of_cells_alone']:.3f}. On contrast the two databases' "
        "people disagree (above), so part of this cannot be learned from one for the other.",
        "",
    ]


def unseen_groups() -> list[str]:
    record = load("unseen-groups")
    lines = [
        "## Does training on TID2013 as well help where neither pictures nor distortions were trained on?",
        "",
        "TID2013's types in three groups of kin. Each of three trainings starts from birqa.kadid, sees two "
        "groups on two thirds of the references, and scores the third group on the other references: every "
        "pair is scored by weights that saw neither its reference nor any type of its group (birqa.kadid saw "
        "KADID-10k's kin of some). These are not birqa.kadid-tid itself, which saw all groups for longer. "
        f"{record['steps']:,} steps, one seed; 95 % intervals of the difference: paired bootstrap over "
        f"references. `make benchmarks/results/unseen-groups.json`.{_faithful()}",
        "",
        "| group held out | pairs | birqa.kadid | with TID2013's other groups | difference |",
        "|---|---:|---:|---:|---|",
    ]
    for name, row in {**record["groups"], "all, each pair once": record["all"]}.items():
        low, high = row["difference_interval"]
        cells = name, row["pairs"], *(f"{row[one]:.3f}" for one in ("kadid", "kadid-tid"))
        lines.append(f"| {' | '.join(map(str, cells))} | {low:+.3f} .. {high:+.3f} |")
    return [*lines, ""]


def seeds() -> list[str]:
    record = load("seeds")
    count = len(record["seeds"])
    return [
        f"## birqa.kadid from {count} seeds",
        "",
        "The shipped weights first; the others were trained alike but for the seed, which decides first "
        f"weights, draws and crops. `make benchmarks/results/seeds.json`.{_faithful()}",
        "",
        "| set | pairs | " + " | ".join(f"seed {seed}" for seed in record["seeds"]) + " | mean | deviation |",
        "|---|---:|" + "---:|" * (count + 2),
        *(
            f"| {name} | {one['pairs']:,} | "
            + " | ".join(f"{value:.3f}" for value in (*one["srocc"], one["mean"]))
            + f" | {one['deviation']:.4f} |"
            for name, one in record["sets"].items()
        ),
        "",
    ]


# Table 3 of the BiRQA paper, on the real KADID-10k: SROCC clean, and under each attack.
PUBLISHED_ATTACKS = ("fgsm", "cw", "autoattack", "facpa")
PUBLISHED_DEFENCES = {
    "none": (0.954, 0.568, 0.295, 0.350, 0.503),
    "R": (0.902, 0.571, 0.291, 0.357, 0.502),
    "AT": (0.907, 0.801, 0.573, 0.560, 0.788),
    "AAT": (0.941, 0.832, 0.610, 0.597, 0.813),
}


def defences() -> list[str]:
    rows = load("defences")
    cards = {row["card"]: load(f"defences/{Path(row['card']).stem}") for row in rows}
    first = cards[rows[0]["card"]]
    budgets = sorted(first["protocol"]["budgets"])
    lines = [
        "## Defences compared",
        "",
        f"Each trained {rows[0]['step']:,.0f} steps from the same weights, one seed, on batches of 16 scores "
        f"(AT's of 8 pictures, clean and attacked), and attacked alike: "
        f"{first['data']['pairs']} pairs of {first['data']['references']} held-out "
        f"photographs with KADID-10k's distortions, the middle {first['protocol']['crop']}x"
        f"{first['protocol']['crop']}, bidirectional, "
        f"budgets {' and '.join(f'{255 * budget:g}/255' for budget in budgets)}; SROCC, in brackets the 95 % "
        "interval at the larger. "
        f"Attacks in training: {rows[1]['defence']['steps']} steps within "
        f"{255 * rows[1]['defence']['budget']:g}/255; birqa's features have the floor that birqa.kadid-aat "
        "has, those without a defence too. none: no defence. R: attacked pictures. AT: labels lowered by "
        "SSIM. AAT: anchors and hinge. AAT+R: AAT with the attacked pictures' own ratings too, as "
        "birqa.kadid-aat's last legs have it. AT-anchors: AAT's batches, AT's labels, no hinge. "
        "AAT-k: with k "
        "anchors in place of 5. Seconds beside other work, so for "
        "comparison only. Published: Table 3 of the paper, clean and under each attack, after full training "
        "and at a budget it does not state. "
        "`make defences`; [defences.md](defences.md) has the settings.",
        "",
        *_table_of_defences(rows, cards, timed=True),
        "",
        _order_of_defences(rows, cards),
        "",
    ]
    return [*lines, *(_defences_inward() if (RESULTS / "defences-inward.json").exists() else [])]


def _defences_inward() -> list[str]:
    rows = load("defences-inward")
    cards = {row["card"]: load(f"defences-inward/{Path(row['card']).stem}") for row in rows}
    return [
        "## Defences compared, trained against attacks towards the middle of the scale",
        "",
        "The same, but attacks in training push good pictures down and bad ones up, as those of the card "
        "do, in place of either way at random. `make defences-inward`; "
        "[defences-inward.md](defences-inward.md) has the settings.",
        "",
        *_table_of_defences(rows, cards, timed=False),
        "",
        _order_of_defences(rows, cards),
        "",
    ]


def _table_of_defences(rows: list[dict[str, Any]], cards: dict[str, Any], timed: bool) -> list[str]:
    attacks = [attack["settings"]["attack"] for attack in cards[rows[0]["card"]]["attacks"]]
    titles = ["metric", "defence", *(["s a step"] if timed else []), "clean", *attacks, "published"]
    lines = [f"| {' | '.join(titles)} |", "|---|---|" + "---:|" * (len(titles) - 3) + "---|"]
    for row in rows:
        card = cards[row["card"]]
        cells = [
            row["metric"],
            row["kind"],
            *([f"{row['seconds_per_step']:.2f}"] if timed else []),
            f"{card['clean']['srocc']:.3f}",
        ]
        for attack in card["attacks"]:
            rising = [
                at["bidirectional"] for at in sorted(attack["budgets"], key=lambda at: float(at["budget"]))
            ]
            found = " / ".join(f"{at['srocc']:.2f}" for at in rising)
            cells.append("{} ({:.2f} .. {:.2f})".format(found, *rising[-1]["srocc_interval"]))
        known = PUBLISHED_DEFENCES.get(row["kind"]) if row["metric"] == "birqa" else None
        cells.append(" / ".join(f"{value:.2f}" for value in known) if known else "")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def hardened() -> list[str]:
    """The shipped weights under attack beside the paper's, whose budget is not known."""
    cards = [load(f"robustness/kadid-test-{name}") for name in ("birqa.kadid", "birqa.kadid-aat")]
    for card in cards:
        measured = card["metric"]["version"].split()
        check_fingerprint("the robustness card", card["metric"]["name"], measured, "make robustness")
    attacks = [attack["settings"]["attack"] for attack in cards[0]["attacks"]]
    data = cards[0]["data"]
    lines = [
        "## Hardened weights beside the paper's",
        "",
        f"SROCC, clean and under bidirectional attack, of {data['pairs']} pairs of {data['references']} "
        f"held-out photographs with KADID-10k's distortions, the middle {cards[0]['protocol']['crop']}x"
        f"{cards[0]['protocol']['crop']} of each, in brackets 95 %; published: Table 3, on KADID-10k. The "
        "paper does not say at which budget; ours has 8/255 as its headline. `make robustness`; "
        "[robustness.md](robustness.md) has every budget and setting.",
        "",
        f"| weights | budget | clean | {' | '.join(attacks)} |",
        "|---|---|---:|" + "---:|" * len(attacks),
    ]
    for card, kind in zip(cards, ("none", "AAT"), strict=True):
        for place, at in enumerate(card["attacks"][0]["budgets"]):
            cells = [name_of(card), f"{255 * at['budget']:g}/255", with_range(card["clean"], "srocc")]
            cells += [
                with_range(attack["budgets"][place]["bidirectional"], "srocc") for attack in card["attacks"]
            ]
            lines.append(f"| {' | '.join(cells)} |")
        known = dict(zip(("clean", *PUBLISHED_ATTACKS), PUBLISHED_DEFENCES[kind], strict=True))
        published = (f"{known[name]:.3f}" if name in known else "" for name in ("clean", *attacks))
        lines.append(
            f"| paper, {'base' if kind == 'none' else kind} | not stated | {' | '.join(published)} |"
        )
    return [*lines, "", *_yardstick(cards), ""]


def _yardstick(cards: list[dict[str, Any]]) -> list[str]:
    """What the honest column says, where the cards have one."""
    told = []
    for card in cards:
        found = [attack for attack in card["attacks"] if attack["settings"]["attack"] == Honest.name]
        told += [
            f"{card['metric']['name']} has {at['bidirectional']['srocc']:.2f} at {255 * at['budget']:g}/255"
            for attack in found
            for at in attack["budgets"]
            if round(255 * at["budget"]) in (4, 8)
        ]
    if not told:
        return []
    return [
        "honest is no attack: pictures rated below the mean really are restored towards their reference, and "
        "the others driven away from it, as far as the budget goes, and no metric is asked. Ratings stay "
        f"those of the pictures before, so ranks are lost by seeing rightly: {', '.join(told)}. An attack "
        "may do the same, and moves each score at least as far where it finds its worst: what it leaves "
        "above this shows a metric that is blind to such changes, or an attack that is weak."
    ]


def _order_of_defences(rows: list[dict[str, Any]], cards: dict[str, Any]) -> str:
    """Which is best under each attack, here and in the paper."""
    found = []
    for metric in dict.fromkeys(row["metric"] for row in rows):
        kinds = {
            row["kind"]: cards[row["card"]]["attacks"]
            for row in rows
            if row["metric"] == metric and row["kind"] in PUBLISHED_DEFENCES
        }
        for place, attack in enumerate(kinds["none"]):
            name = attack["settings"]["attack"]
            for number, at in enumerate(attack["budgets"] if name in PUBLISHED_ATTACKS else []):
                reached = {
                    kind: attacks[place]["budgets"][number]["bidirectional"]["srocc"]
                    for kind, attacks in kinds.items()
                }
                ordered = sorted(reached, key=lambda kind: -reached[kind])
                found.append(f"{metric}, {name} {255 * at['budget']:g}/255: {' > '.join(ordered)}")
    return (
        "The paper has AAT first under every attack, then AT, then R and none alike. Here: "
        f"{'; '.join(found)}. These are {rows[0]['step']:,.0f} steps on two cores, not the paper's 105 "
        "minutes on an A100, and most intervals overlap."
    )


def bound() -> list[str]:
    lines = [
        "## Theorem 1 as birqa.kadid-aat was trained",
        "",
        "Means over the first and the last 500 steps of each leg, on the batches that were trained on, "
        "attacked as they were; scores from 0 to 1. By the theorem the largest error of a batch stays within "
        "the bound; it is no bound on attacks that were not made. [aat-bound.png](aat-bound.png) shows the "
        "tenth leg. `make remake-birqa.kadid-aat`.",
        "",
        "| leg | steps | eps | eta | lambda | bound | largest error | steps with the error above |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for leg, curves in enumerate(
        sorted(RESULTS.glob("aat-curves-*.csv"), key=lambda file: (len(file.name), file.name)), 1
    ):
        with curves.open() as file:
            rows = list(csv.DictReader(file))
        last = int(rows[-1]["step"])
        for first, end in ((0, 500), (last - 500, last)):
            part = [row for row in rows if first < int(row["step"]) <= end]
            cells = (
                f"{statistics.mean(float(row[name]) for row in part):.3f}"
                for name in ("eps", "eta", "lambda", "bound", "worst")
            )
            beyond = sum(int(row["beyond_bound"]) for row in part)
            lines.append(f"| {leg} | {first + 1} to {end} | {' | '.join(cells)} | {beyond} |")
    return [*lines, ""]


def audit() -> list[str]:
    record = load("audit")
    for name in ("birqa.kadid", "birqa.kadid-aat"):
        check_fingerprint("the audit", name, record["fingerprints"], "make remake-audit")
    budgets = list(dict.fromkeys(row["budget"] for row in record["rows"]))
    lines = [
        "## Audit: pictures optimised against the score",
        "",
        f"`birqa audit` on held-out photographs, {record['attacked']} pictures for each attack and budget, "
        f"the middle {record['side']}x{record['side']}; threshold set for 1 % false alarms on half of the "
        f"references, and {record['false_alarms']:.1%} measured on {record['clean']} clean pictures of the "
        f"other half; on {record['resampled']} photographs reduced to 3/4, 1/2 or 1/3 and enlarged again, in "
        f"five ways, {record['false_alarms_resampled']:.1%}, on {record['large']} made so from whole Kodak "
        f"photographs, {record['false_alarms_large']:.1%}. Fitted "
        "on pictures that PGD pushed up, on training photographs. Share found, and in brackets how far the "
        "attack had raised the plain score. The last attack raises the score of the picture and the better "
        "one of its two shifted copies, which the audit looks at, together. honest is no attack: these "
        "pictures were really restored as far as the budget goes, and to find them is a false alarm. ROC: "
        "[audit.png](audit.png). `make remake-audit`.",
        "",
        "| attack | " + " | ".join(f"{255 * budget:g}/255" for budget in budgets) + " |",
        "|---|" + "---:|" * len(budgets),
    ]
    for attack in dict.fromkeys(row["attack"] for row in record["rows"]):
        rows = [row for row in record["rows"] if row["attack"] == attack]
        cells = (f"{row['detected']:.2f} ({row['gain']:+.3f})" for row in rows)
        seen = " (fitted on)" if rows[0]["seen"] else ""
        lines.append(f"| {attack}{seen} | {' | '.join(cells)} |")
    return [*lines, ""]


def accuracy_against_time() -> list[str]:
    times = [row for row in load("speed")["times"] if row["metric"] in BY_TIME]
    sets = ("tid2013-lite", "kadid-test-lite")
    reached = {name: {one["metric"]: one for one in load(name)["agreements"]} for name in sets}
    sizes = list(dict.fromkeys(row["size"] for row in times))
    lines = [
        "## Accuracy against time",
        "",
        "Seconds a pair in a row on two CPU threads (below), in brackets times birqa.kadid, round by round; "
        "and SROCC with its 95 % interval on the two sets above."
        f"{_faithful()}",
        "",
        "| weights | " + " | ".join(sizes) + " | re-synthesised TID2013 | KADID-10k's distortions |",
        "|---|" + "---:|" * len(sizes) + "---|---|",
    ]
    for label, weights in BY_TIME.items():
        seconds = [
            f"{row['median_s']:.4f} ({row['ratio_to_birqa']:.2f})" for row in times if row["metric"] == label
        ]
        accuracies = []
        for name in sets:
            low, high = reached[name][weights]["intervals"]["srocc"]
            accuracies.append(f"{reached[name][weights]['srocc']:.3f} ({low:.3f} .. {high:.3f})")
        lines.append(f"| {weights} | {' | '.join([*seconds, *accuracies])} |")
    return [*lines, ""]


def in_use() -> list[str]:
    record = load("in-use")
    lines = [
        "## In use: restoring by gradient on the score alone",
        "",
        f"{len(record['photographs'])} held-out photographs, the upper left {record['side']}x"
        f"{record['side']}, each degraded, then {record['steps']} steps of Adam on its samples with 1 - "
        "score as the only loss. A metric that can be gamed gains while PSNR, VSI and VIF, which the "
        "optimiser does not see, fall. Means before -> after, of 8-bit pictures; [in-use.png](in-use.png). "
        "`make robustness`.",
        "",
        "| degraded by | metric | its score | PSNR | VSI | VIF |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in sorted(record["rows"], key=lambda row: str(row["degradation"])):
        cells = (
            f"{row[f'{name}_before']:.{digits}f} -> {row[f'{name}_after']:.{digits}f}"
            for name, digits in (("score", 3), ("psnr", 1), ("vsi", 4), ("vif", 3))
        )
        lines.append(f"| {row['degradation']} | {row['metric']} {row['version']} | {' | '.join(cells)} |")
    return [*lines, ""]


def speed() -> list[str]:
    record = load("speed")
    lines = [
        "## Time and memory",
        "",
        f"One pair, decoded pictures in, score out, features included; {record['threads']} CPU threads, all "
        "metrics in turn in one process, five pairs in a row each time, ratios round by round, medians; and "
        "the pair before these five, after a rest of .2 s. LPIPS-AlexNet is its layers with random weights. "
        "`make results`.",
        "",
        "| size | metric | median s | times LPIPS-AlexNet | s after a rest |",
        "|---|---|---:|---:|---:|",
    ]
    for row in record["times"]:
        lines.append(
            f"| {row['size']} | {row['metric']} | {row['median_s']:.4f} | {row['ratio_to_lpips']:.2f} "
            f"| {row['after_rest_s']:.4f} |"
        )
    lines += ["", "Peak memory of a fresh process:", "", "| size | metric | MB |", "|---|---|---:|"]
    lines += [
        f"| {row['size']} | {row['metric']} | {row['peak_mb'] or math.nan:.0f} |" for row in record["memory"]
    ]
    footprint = load("footprint")
    lines += [
        "",
        "| footprint | |",
        "|---|---:|",
        f"| core, installed | {footprint['core_installed_mb']:.0f} MB |",
        f"| torch alone (CPU build), which LPIPS and pyiqa need | {footprint['torch_installed_mb']:.0f} MB |",
        f"| `import birqa` | {footprint['import_birqa_s']:.3f} s |",
        f"| `import torch`, the first step of LPIPS and pyiqa | {footprint['import_torch_s']:.2f} s |",
        f"| cold shell to the first score, 512x384 | {footprint['first_score_s']:.2f} s |",
        "",
    ]
    return lines


def range_coverage() -> list[str]:
    record = load("range-coverage")
    check_version("range-coverage", record)
    least = sorted(record["by_type"].items(), key=lambda item: item[1])[:5]
    low, high = record["interval"]
    return [
        "## The range of ratings on people's own ratings of other pictures",
        "",
        f"`low` and `high` of `birqa score --json`, calibrated to hold for {record['promised']:.0%} of "
        "ratings on KADID-10k's mean ratings and their spread, on the rating of each picture of "
        "re-synthesised TID2013, brought to that scale by a line through the distortions that both "
        f"databases made alike. Nothing was calibrated there. {record['pairs']:,} pairs of "
        f"{record['references']} references; 95 % by "
        f"bootstrap over references. `{record['command']}`.{_faithful()}",
        "",
        f"Inside: {record['inside']:.1%} ({low:.1%} .. {high:.1%}); below {record['too_low']:.1%}, above "
        f"{record['too_high']:.1%}. The range is {record['width']:.2f} wide in the mean. Least often inside: "
        + ", ".join(f"{kind} {share:.0%}" for kind, share in least)
        + ".",
        "",
    ]


SECTIONS = {
    "two-databases": two_databases,
    "cell-errors": cell_errors,
    "faithfulness": faithfulness,
    "outside": outside,
    "cuts": cuts,
    "unseen-groups": unseen_groups,
    "fine-tuning": fine_tuning,
    "same-database": same_database,
    "seeds": seeds,
    "range-coverage": range_coverage,
    "robustness/kadid-test-birqa.kadid-aat": hardened,
    "defences": defences,
    "in-use": in_use,
    "audit": audit,
    **report_blind.SECTIONS,
}


def figures(name: str) -> list[str]:
    """What docs/results.md says of one model."""
    lines = []
    for set_name, (title, _) in DATA.items():
        if not (RESULTS / f"{set_name}.json").exists():
            continue
        for one in load(set_name)["agreements"]:
            low, high = one["intervals"]["srocc"]
            if one["metric"] == name:
                line = f"- {title}: SROCC {one['srocc']:.3f} ({low:.3f} .. {high:.3f})"
                lines += [line] if not any(old.endswith(line.split(": ")[1]) for old in lines) else []
    lines += [
        f"- {row['size']}, {load('speed')['threads']} CPU threads: {row['median_s']:.3f} s"
        for row in load("speed")["times"]
        if BY_TIME.get(row["metric"]) == name
    ]
    attacked = RESULTS / "robustness" / f"kadid-test-{name}.json"
    if attacked.exists():
        card = load(f"robustness/{attacked.stem}")
        under = ", ".join(
            f"{one['settings']['attack']} {at_headline(one)['bidirectional']['srocc']:.3f}"
            for one in card["attacks"]
        )
        lines.append(
            f"- Attacked within {255 * card['threat_model']['headline']:g}/255, up and down, "
            f"{card['data']['pairs']} pairs: SROCC {under}; clean {card['clean']['srocc']:.3f} "
            "(docs/robustness.md)"
        )
    lines += report_blind.figures(name)
    if any("TID2013" in line for line in lines):
        lines += ["", _faithful(page="../results.md").strip()]
    return ["## Figures", "", *lines, "", "More in docs/results.md.", ""] if lines else []


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    print(path.relative_to(ROOT))


def main() -> None:
    if sys.argv[1:] == ["--faithful"]:
        print(_faithful(page="results.md").strip())
        return
    names = [model.name + " " + model.version for model in list_models()]
    lines = [
        "# Results",
        "",
        "Made by `benchmarks/report.py` from what `make results`, `robustness`, `defences`, `weights` and "
        f"`certificates` measured, never edited. Weights: {', '.join(names)}.",
        "",
        *[line for name in DATA if (RESULTS / f"{name}.json").exists() for line in accuracy(name)],
        *(
            line
            for name, section in SECTIONS.items()
            if (RESULTS / f"{name}.json").exists()
            for line in section()
        ),
        *(bound() if any(RESULTS.glob("aat-curves-*.csv")) else []),
        *accuracy_against_time(),
        *speed(),
    ]
    missing = [name for name in (*DATA, *SECTIONS) if not (RESULTS / f"{name}.json").exists()]
    if missing:
        print(f"not measured, and so not on the page: {', '.join(missing)}", file=sys.stderr)
    write(ROOT / "docs" / "results.md", "\n".join(lines))
    for model in list_models():
        card = [
            f"# {model.name} {model.version}",
            "",
            "Made by `make results` from the card in the model folder.",
            "",
        ]
        for title, content in model.card.items():
            card += [f"## {title.replace('_', ' ').capitalize()}", ""]
            if isinstance(content, dict):
                card += [f"- {key.replace('_', ' ')}: {value}" for key, value in content.items()]
            elif isinstance(content, list):
                card += [f"- {item}" for item in content]
            else:
                card += [str(content)]
            card.append("")
        card += figures(model.name)
        if model.interval:
            card += [
                "## Range of ratings",
                "",
                f"`low` and `high` in `--json`, meant for {model.interval.coverage:.0%} of ratings; measured "
                f"on {model.interval.data}: {model.interval.measured:.1%}.",
                "",
            ]
        write(ROOT / "docs" / "cards" / f"{model.name}.md", "\n".join(card))


if __name__ == "__main__":
    main()
