"""Sections of docs/results.md about the no-reference metric and its certificates."""

import json
import statistics
from pathlib import Path
from typing import Any

from birqa.certify.subject import CERTIFIED
from birqa.registry import find_model

RESULTS = Path(__file__).parent / "results"


SHIPPED = {
    "DMS+rank": ("blind.clive", "denoiser.blind"),
    "DMS+rank fitted": (CERTIFIED, "denoiser.blind"),
    "DMS+rank fitted, damage": ("blind.clive-kadid-denoised", "denoiser.blind"),
}
"""The metric and the denoiser of each way to make certificates that is in the package."""


def load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def _check_weights(file: str, name: str, weights: str) -> None:
    model = find_model(name, "no-reference", "denoiser")
    installed = model.fingerprint if file == "blind-splits" else model.digest[: len(weights)]
    if weights != installed:
        raise SystemExit(f"{file} was measured with other weights of {name}: run make certificates again")


def blind_splits() -> list[str]:
    ours, others = load("blind-splits"), load("blind-baselines")
    _check_weights("blind-splits", ours["metric"], ours["weights"])
    rows = {f"{ours['metric']} {ours['version']}": ours["results"]["blind"]}
    rows |= {kind: found for kind, found in ours["results"].items() if kind != "blind"}
    commands = [ours["command"], others["command"]]
    if (RESULTS / "blind-splits-kadid.json").exists():
        shown = load("blind-splits-kadid")
        commands.append(shown["command"])
        _check_weights("blind-splits", shown["metric"], shown["weights"])
        rows |= {f"{shown['metric']} {shown['version']}": shown["results"]["blind"]}
    rows |= {f"{one['metric']} ({one['what']})": one["splits"] for one in others["metrics"]}
    lines = [
        "## Without reference: LIVE In the Wild, ten 80/20 splits",
        "",
        f"{others['pictures']:,} photographs with human ratings; the same ten random splits for all, "
        "medians and "
        "the range over them. Ours: the statistics are analytic (which kinds there are was chosen on such "
        "splits); the kernel regression is "
        "fitted anew to each training part. BRISQUE's regression too, as its paper does it. PLCC as the "
        "scores "
        "are. Published on this set without pretrained networks: BRISQUE about .60, CORNIA about .62, "
        "FRIQUEE "
        f"about .68; the aim was .70. `{'`, `'.join(commands)}`.",
        "",
        "| metric | SROCC, median | range | PLCC, median | range |",
        "|---|---:|---|---:|---|",
    ]
    for name, found in rows.items():
        cells = []
        for figure in ("srocc", "plcc"):
            values = [one[figure] for one in found]
            cells += [f"{statistics.median(values):.3f}", f"{min(values):.3f} .. {max(values):.3f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def measured(name: str) -> Any:
    """What was measured; nothing where that has not been made yet."""
    return load(name) if (RESULTS / f"{name}.json").exists() else {}


def figures(name: str) -> list[str]:
    """What docs/results.md says of one model of this kind, for its card."""
    lines = []
    for found in map(measured, ("blind-splits", "blind-splits-kadid")):
        if found.get("metric") == name:
            values = [one["srocc"] for one in found["results"]["blind"]]
            lines.append(
                "- LIVE In the Wild, ten 80/20 splits, trained anew on each: SROCC "
                f"{statistics.median(values):.3f} in the median ({min(values):.3f} .. {max(values):.3f})"
            )
    lines += [
        "- KADID-10k's damage, pairs of one photograph and type: "
        f"{one['ordered_rightly']:.0%} ordered rightly"
        for one in measured("blind-damage").get("metrics", [])
        if one["metric"] == name
    ]
    for sigma, found in measured("certificates").get("sigma", {}).items():
        for method, names in SHIPPED.items():
            if name in names:
                reached = found["accuracy"][method]
                low, high = reached["intervals"]["srocc"]
                lines.append(
                    f"- {' behind '.join(names)}, smoothed under noise of {sigma}, on the test part of LIVE "
                    f"In the Wild: SROCC {reached['srocc']:.3f} ({low:.3f} .. {high:.3f})"
                )
    cost = measured("certificate-cost")
    lines += [
        f"- A certificate of {cost['size']} from {cost['samples']:,} draws on {cost['threads']} CPU threads: "
        f"{row['seconds']:.0f} s"
        for row in cost.get("rows", [])
        if row["denoiser"] == name
    ]
    return lines


def certificates() -> list[str]:
    record = load("certificates")
    for method, names in SHIPPED.items():
        for name, weights in zip(names, record["weights"][method], strict=True):
            _check_weights("certificates", name, weights)
    lines = [
        "## Certificates: ways to make them, side by side",
        "",
        f"The {record['test_pictures']} test pictures of LIVE In the Wild: nothing was trained on them, but "
        "36 of them chose the weights of DMS+rank's loss out of two, and all of them that there is a fitted "
        "metric (the cards), which favours these a little. Noise in whole levels. MS: median smoothing of "
        "the metric alone; DMS: behind a denoiser trained by squared error; DMS+rank: by order and score as "
        "well; both denoisers with equal steps on equal pictures; classes: quantised classification "
        "smoothing of the metric alone, 10 bins: these four, of the papers, with one metric that is made for "
        "pictures as they are. Fitted, ours: the same statistics, their regression fitted to noisy training "
        "pictures, alone (MS fitted) or as the denoiser leaves them (DMS+rank fitted, what `birqa certify` "
        "takes unasked; damage: blind.clive-kadid-denoised, fitted to damaged pictures too). "
        f"Accuracy: scores of {record['draws']} draws of whole pictures (of classes, the "
        "bin that most of them fall into); 95 % intervals by bootstrap over pictures. Spread: the standard "
        "deviation of these scores. Width: that of the certified interval over the method's spread, from "
        f"{record['samples']:,} draws at confidence {1 - record['alpha']:g} for both ends at once, of the "
        f"middle {record['crop']}x{record['crop']} of {record['certified_pictures']} pictures, with 95 % by "
        "bootstrap over these; behind it the share of pictures that is certified at all, where that is not "
        "everything: the rest count with the whole range. Radii beyond what so many draws can bound: none. "
        f"`{record['command']}`.",
        "",
    ]
    for sigma, found in record["sigma"].items():
        radii, accuracy = list(found["widths"]["MS"]), found["accuracy"]
        compared = sorted({one for agreement in accuracy.values() for one in agreement["minus this"]})
        ahead = " | ".join(f"{method} minus this" for method in compared)
        lines += [
            f"sigma {sigma}:",
            "",
            f"| method | SROCC | 95 % | {ahead} | PLCC | 95 % | spread | "
            + " | ".join(f"width at {radius}" for radius in radii)
            + " |",
            "|---|---:|---|---|---|---:|---|---:|" + "---:|" * len(radii),
        ]
        for method, agreement in accuracy.items():
            gaps = [agreement["minus this"].get(one) for one in compared]
            cells = [
                f"{agreement['srocc']:.3f}",
                "{:.3f} .. {:.3f}".format(*agreement["intervals"]["srocc"]),
                *("" if gap is None else "{:+.3f} .. {:+.3f}".format(*gap["interval"]) for gap in gaps),
                f"{agreement['plcc']:.3f}",
                "{:.3f} .. {:.3f}".format(*agreement["intervals"]["plcc"]),
                f"{found['spread'][method]:.3f}",
            ]
            for radius in radii:
                width = found["widths"].get(method, {}).get(radius)
                cells.append("" if width is None else _width(width, found["spread"][method]))
            label = "clean score, not smoothed" if method == "clean" else method
            lines.append(f"| {label} | {' | '.join(cells)} |")
        lines.append("")
    return [*lines, *_by_draws(record)]


def certificate_splits() -> list[str]:
    record = load("certificate-splits")
    splits = record["splits"]
    shipped = zip(("blind.clive", "denoiser.blind"), splits[0]["weights"]["DMS+rank"], strict=True)
    for name, weights in shipped:
        _check_weights("certificate-splits", name, weights)
    numbers = range(1, len(splits) + 1)
    lines = [
        "## Certificates: more than one split",
        "",
        f"The same ways of the papers on {len(splits)} random test parts of LIVE In the Wild "
        f"({' and '.join(str(one['test_pictures']) for one in splits)} pictures), each with a metric and "
        "denoisers of its own that were trained on its training part alone. The first is that of the table "
        "above; on the others nothing was chosen. SROCC and PLCC of scores of "
        f"{record['draws']} draws; behind them how far DMS+rank is ahead in SROCC, with 95 % by bootstrap "
        f"over pictures, in each split and in the mean of all. `{record['command']}`.",
        "",
        "| sigma | method | "
        + " | ".join(f"SROCC {number} | PLCC {number}" for number in numbers)
        + " | "
        + " | ".join(f"DMS+rank minus this, {number}" for number in numbers)
        + " | mean |",
        "|---:|---|" + "---:|" * (2 * len(splits)) + "---|" * (len(splits) + 1),
    ]
    for sigma, found in record["sigma"].items():
        for method in found["accuracy"][0]:
            cells = [
                f"{one[method][figure]:.3f}" for one in found["accuracy"] for figure in ("srocc", "plcc")
            ]
            ahead = found["ahead_of"].get(method)
            if ahead is None:
                cells += [""] * (len(splits) + 1)
            else:
                gaps = [*zip(ahead["gaps"], ahead["intervals"], strict=True)]
                gaps.append((ahead["mean"], ahead["mean_interval"]))
                cells += [f"{gap:+.3f} ({low:+.3f} .. {high:+.3f})" for gap, (low, high) in gaps]
            lines.append(f"| {sigma} | {method} | {' | '.join(cells)} |")
    beyond = {
        other: [
            sigma
            for sigma, found in record["sigma"].items()
            if found["ahead_of"][other]["mean_interval"][0] > 0
        ]
        for other in ("MS", "DMS")
    }
    told = [
        f"of {other} at sigma {' and '.join(sigmas)}" if sigmas else f"of {other} at none"
        for other, sigmas in beyond.items()
    ]
    return [
        *lines,
        "",
        f"In the mean of the splits DMS+rank is ahead by more than chance {', '.join(told)}.",
        "",
    ]


def _by_draws(record: dict[str, Any]) -> list[str]:
    counts = list(next(iter(record["sigma"].values()))["srocc_by_draws"]["MS"])
    lines = [
        f"Would more draws than {record['draws']} change the order? SROCC of medians of fewer draws, means "
        "over the runs that the draws give.",
        "",
        "| sigma | method | "
        + " | ".join(f"{count} draw{'s' if count != '1' else ''}" for count in counts)
        + " |",
        "|---:|---|" + "---:|" * len(counts),
    ]
    for sigma, found in record["sigma"].items():
        for method, values in found["srocc_by_draws"].items():
            cells = " | ".join(f"{value:.3f}" for value in values.values())
            lines.append(f"| {sigma} | {method} | {cells} |")
    return [*lines, ""]


def _width(found: dict[str, Any], spread: float) -> str:
    if found["certified"] == 0:
        return "none"
    share = "" if found["certified"] == 1 else f", {found['certified']:.0%}"
    low, high = (end / spread for end in found["interval"])
    return f"{found['width'] / spread:.2f} ({low:.2f} .. {high:.2f}){share}"


def certified_attack() -> list[str]:
    record = load("certified-attack")
    settings, runs = record["settings"], record["runs"]
    lines = [
        "## Certificates under attack",
        "",
        f"{settings['pictures']} test pictures of LIVE In the Wild, their middle "
        f"{settings['crop']}x{settings['crop']}, "
        "pushed up and down by whole levels within an l2 radius: "
        f"{settings['steps']} steps, gradients of the smoothed score averaged over "
        f"{settings['expectation']} draws. "
        f"Certificates of {settings['samples']:,} draws, confidence {settings['confidence']:g}. Inside: "
        "attacked smoothed scores that lie in the certificate of the clean picture. Beyond: plain scores "
        f"that moved further than was certified of the smoothed one. `{record['command']}`.",
        "",
        "| sigma | radius | trials | inside | mean move, smoothed | mean room certified | "
        "mean move, plain | beyond |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for run in runs:
        lines.append(
            f"| {run['sigma']:g} | {run['radius']:g} | {len(run['trials'])} | {run['inside']} | "
            f"{run['mean_move_smoothed']:.4f} | {run['mean_room']:.4f} | {run['mean_move_plain']:.4f} | "
            f"{run['plain_moved_further_than_certified']} |"
        )
    return [*lines, ""]


def certificate_cost() -> list[str]:
    record = load("certificate-cost")
    lines = [
        "## Cost of a certificate",
        "",
        f"A picture of {record['size']}, {record['samples']:,} draws, `birqa certify` as a whole process on "
        f"{record['threads']} threads; {record['rounds']} rounds, medians. {record['processor']}; no "
        f"GPU has been timed. `{record['command']}`.",
        "",
        "| denoiser | seconds | forward passes a second | peak memory, MB |",
        "|---|---:|---:|---:|",
    ]
    for row in record["rows"]:
        lines.append(
            f"| {row['denoiser']} | {row['seconds']:.1f} | {row['passes_per_second']:.1f} | "
            f"{row['memory_mb']:.0f} |"
        )
    return [*lines, ""]


def blind_damage() -> list[str]:
    record = load("blind-damage")
    by_type = [one["ordered_rightly_by_type"] for one in record["metrics"]]
    lines = [
        "## Without reference: damage",
        "",
        f"{record['pairs']:,} pictures of {record['references']} held-out photographs with KADID-10k's "
        "distortions. SROCC with the mean ratings of type and level, in brackets 95 %; and of two pictures "
        "of one photograph with one distortion, how often the better rated one has the higher score: below "
        "one half, damage is taken for merit. LIVE In the Wild's photographs hardly have such damage, and "
        "what is sharp and rich in contrast is liked there; those with kadid in their name have been shown "
        "some, on other photographs. Smoothed: as `birqa certify` scores, the median of so many draws under "
        f"noise, behind the denoiser. `{record['command']}`.",
        "",
        "| metric | SROCC | ordered rightly |",
        "|---|---|---:|",
    ]
    for one in record["metrics"]:
        _check_weights("blind-damage", one["metric"], one["weights"])
        low, high = one["srocc_interval"]
        how = f", smoothed, sigma {one['sigma']}, {one['draws']} draws" if "sigma" in one else ""
        lines.append(
            f"| {one['metric']} {one['version']}{how} | {one['srocc']:.3f} ({low:.3f} .. {high:.3f}) | "
            f"{one['ordered_rightly']:.0%} |"
        )
    lines += ["", "Ordered rightly, by type:", "", "| metric | " + " | ".join(by_type[0]) + " |"]
    lines.append("|---|" + "---:|" * len(by_type[0]))
    for one, shares in zip(record["metrics"], by_type, strict=True):
        lines.append(f"| {one['metric']} | {' | '.join(f'{share:.2f}' for share in shares.values())} |")
    return [*lines, ""]


def blind_grey() -> list[str]:
    record = load("blind-grey")
    lines = [
        "## Without reference: black and white",
        "",
        f"The {record['pictures']} test pictures of LIVE In the Wild as they are / with their luma in all "
        "three channels: the mean score, SROCC with the ratings, given to the pictures in colour, "
        f"and the share that scores lower without it. `{record['command']}`.",
        "",
        "| metric | mean score | SROCC | lower |",
        "|---|---:|---:|---:|",
    ]
    for one in record["metrics"]:
        _check_weights("blind-grey", one["metric"], one["weights"])
        lines.append(
            f"| {one['metric']} {one['version']} | {one['mean']:.3f} / {one['mean_grey']:.3f} | "
            f"{one['srocc']:.3f} / {one['srocc_grey']:.3f} | {one['lower']:.0%} |"
        )
    return [*lines, ""]


def coverage() -> list[str]:
    record = load("coverage")
    lines = [
        "## Coverage of certified intervals, by simulation",
        "",
        "A metric whose median under noise is known, and what the worst perturbation of the radius does to "
        f"it: one sample of the picture. Share of {record['trials']:,} trials in which that leaves the "
        "interval, at each end; each end may miss with half of alpha. Counts scatter: by chance alone some "
        f"shares read a little above. `{record['command']}`.",
        "",
        "| draws | radius, in sigma | alpha | each end may miss | below | above |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for row in record["rows"]:
        below, above = row["missed"]
        lines.append(
            f"| {row['n']:,} | {row['shift']:g} | {row['alpha']:g} | {row['alpha'] / 2:.5f} | {below:.5f} | "
            f"{above:.5f} |"
        )
    return [*lines, ""]


SECTIONS = {
    "blind-splits": blind_splits,
    "blind-damage": blind_damage,
    "blind-grey": blind_grey,
    "certificates": certificates,
    "certificate-splits": certificate_splits,
    "certified-attack": certified_attack,
    "certificate-cost": certificate_cost,
    "coverage": coverage,
}
