"""Many scores on one page: an HTML file that needs nothing beside it."""

import base64
import io
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from birqa.batch import NOT_SCORED
from birqa.files import naming
from birqa.pairing import Pair
from birqa.report.picture import colour_map, fit

THUMBNAIL = 240
"""Pixels of the longer side."""
BINS = 20

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
td.figure, th.figure { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: 0 .5rem .5rem 0; }
figcaption, .settings { color: #666; font-size: 13px; }
.failed { color: #b00020; }
h2 { margin-top: 2rem; }
rect { fill: #466ea0; }
text { font-size: 11px; fill: #666; }
"""


@dataclass(frozen=True)
class Row:
    """One pair on the page; `score` is None where `error` says why there is none."""

    pair: Pair
    score: float | None
    low: float | None = None
    high: float | None = None
    error: str | None = None
    bits_per_pixel: float | None = None


@dataclass(frozen=True)
class Views:
    """What is shown of a pair: pictures (H, W, 3), and the quality map (H, W) in [0, 1]."""

    ref: np.ndarray
    dist: np.ndarray
    quality: np.ndarray


def score_page(
    rows: Sequence[Row],
    metric: str,
    settings: str,
    worst: int,
    views: Callable[[Pair], Views],
    unmatched: Sequence[Path] = (),
) -> str:
    """The page: summary, histogram, means of like versions, the `worst` pairs with pictures, and all scores.

    `views` is asked for the worst pairs, lowest first; where it raises, the page says what instead. The same
    rows and pictures give the same text.
    """
    scored = sorted((row for row in rows if row.score is not None), key=_score)
    failed = [row for row in rows if row.score is None]
    parts = [
        f"<h1>{escape(metric)}</h1>",
        f'<p class="settings">1 is identical, lower is worse. {escape(settings)}</p>',
        _summary(scored, len(rows)),
    ]
    if failed or unmatched:
        told = [naming(row.pair.dist, row.error or "") for row in failed]
        told += [f"{path} has no partner" for path in unmatched]
        items = "".join(f"<li>{escape(_printable(one))}</li>" for one in told)
        parts.append(f'<h2>Not scored</h2><ul class="failed">{items}</ul>')
    if scored:
        parts.append(_histogram([_score(row) for row in scored]))
        parts.append(_versions(scored))
        parts += _worst(scored[:worst], views)
        parts.append("<h2>All, lowest first</h2>")
        parts.append(
            _table(
                ["score", "range", "bits per pixel", "distorted", "reference"],
                [
                    (
                        f"{_score(row):.4f}",
                        _range(row),
                        _rate([row]),
                        _name(row.pair.dist),
                        _name(row.pair.ref),
                    )
                    for row in scored
                ],
                figures=3,
            )
        )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(metric)}</title>'
        f"<style>{STYLE}</style></head><body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def version_of(pair: Pair, dist_folder: str, ref_folder: str) -> str:
    """What sets a picture apart from its reference, below the folder of either: `q30/*.jpg` for q30/x.jpg and
    for scene/q30/x.jpg of scene/x.png, `*_q30.jpg` for x_q30.jpg."""
    *parents, name = _parts(pair.dist, dist_folder)
    *of_reference, reference = _parts(pair.ref, ref_folder)
    stem = Path(reference).stem
    parts = [parent for parent in parents if parent not in (stem, *of_reference)]
    return str(Path(*parts, "*" + name.removeprefix(stem) if name.startswith(stem) else name))


def _parts(path: Path, folder: str) -> tuple[str, ...]:
    """Below the folder; accents as one letter, as `birqa.pairing` compares them."""
    return Path(unicodedata.normalize("NFC", os.path.relpath(path, folder))).parts


def _common_folder(paths: Iterable[Path]) -> str:
    return os.path.commonpath([os.path.abspath(path.parent) for path in paths])


def _summary(scored: Sequence[Row], count: int) -> str:
    if not scored:
        return f"<p>None of {count} scored.</p>"
    scores = [_score(row) for row in scored]
    return (
        f"<p>{len(scored)} of {count} scored: mean {np.mean(scores):.4f}, median {np.median(scores):.4f}, "
        f"lowest {scores[0]:.4f}, highest {scores[-1]:.4f}.</p>"
    )


def _versions(scored: Sequence[Row]) -> str:
    """Means over pictures of one folder, ending and suffix, where several pictures have one in common."""
    try:
        folders = [_common_folder(getattr(row.pair, side) for row in scored) for side in ("dist", "ref")]
    except ValueError:  # several drives
        return ""
    groups: dict[str, list[Row]] = {}
    for row in scored:
        groups.setdefault(version_of(row.pair, *folders), []).append(row)
    if len(groups) == 1 or len(groups) == len(scored):
        return ""
    # Of means over different pictures, the worse may be that of the better version; but a stray picture or
    # two do not decide what the others are compared on.
    having = {version: {row.pair.ref for row in rows} for version, rows in groups.items()}
    most = max(map(len, having.values()))
    shared = set.intersection(*(one for one in having.values() if 2 * len(one) >= most))
    uneven = bool(shared) and any(one != shared for one in having.values())
    rows = []
    for version, members in groups.items():
        scores = [_score(row) for row in members]
        common = [row for row in members if row.pair.ref in shared]
        cells = []
        if uneven:
            whole = shared <= having[version]
            cells += [f"{np.mean([_score(row) for row in common]):.4f}", _rate(common)] if whole else ["", ""]
        cells += [f"{np.mean(scores):.4f}", _rate(members), f"{min(scores):.4f}", str(len(scores))]
        rows.append((*cells, _printable(version)))
    titles = [
        *([f"mean of the {len(shared)} that all have", "their bits per pixel"] if uneven else []),
        "mean",
        "bits per pixel",
        "lowest",
        "pictures",
        "version",
    ]
    return "<h2>By version</h2>" + _table(titles, sorted(rows), figures=len(titles) - 1)


def _worst(scored: Sequence[Row], views: Callable[[Pair], Views]) -> list[str]:
    if not scored:
        return []
    parts = [f"<h2>The lowest {len(scored)}</h2>"]
    for row in scored:
        try:
            found = views(row.pair)
        except NOT_SCORED as error:
            parts.append(
                f"<p><b>{_score(row):.4f}</b> {escape(_printable(naming(row.pair.dist, str(error))))}</p>"
            )
            continue
        pictures = (
            ("reference", found.ref),
            ("distorted", found.dist),
            ("quality: 0 dark violet, 1 yellow", colour_map(found.quality)),
        )
        figures = "".join(
            f'<figure><img src="{_thumbnail(pixels)}" alt="{label}"><figcaption>{label}</figcaption></figure>'
            for label, pixels in pictures
        )
        parts.append(f"<p><b>{_score(row):.4f}</b> {escape(_name(row.pair.dist))}</p><div>{figures}</div>")
    return parts


def _histogram(scores: Sequence[float]) -> str:
    counts, _ = np.histogram(scores, BINS, (0, 1))
    wide, high = 24, 90
    bars = "".join(
        f'<rect x="{index * wide}" y="{high - height:.1f}" width="{wide - 2}" height="{height:.1f}">'
        f"<title>{index / BINS:.2f} to {(index + 1) / BINS:.2f}: {count}</title></rect>"
        for index, count in enumerate(counts)
        if (height := high * count / counts.max())
    )
    marks = "".join(
        f'<text x="{BINS * wide * tenth / 10:.0f}" y="{high + 14}">{tenth / 10:g}</text>'
        for tenth in (0, 2, 4, 6, 8)
    )
    size = f'width="{BINS * wide}" height="{high + 18}"'
    return f'<svg {size} role="img" aria-label="histogram of the scores">{bars}{marks}</svg>'


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], figures: int = 2) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        kinds = [' class="figure"'] * figures + [""] * (len(row) - figures)
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True))

    body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{cells(titles, 'th')}</tr>\n{body}</table>"


def _thumbnail(pixels: np.ndarray) -> str:
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMBNAIL / max(height, width))
    file = io.BytesIO()
    small: Image.Image = fit(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))
    small.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _score(row: Row) -> float:
    return float("nan") if row.score is None else row.score


def _range(row: Row) -> str:
    return "" if row.low is None or row.high is None else f"{row.low:.2f} to {row.high:.2f}"


def _rate(rows: Sequence[Row]) -> str:
    """Mean bits per pixel, where they are known of all."""
    rates = [row.bits_per_pixel for row in rows if row.bits_per_pixel is not None]
    return f"{np.mean(rates):.3f}" if rows and len(rates) == len(rows) else ""


def _name(path: Path) -> str:
    return _printable(str(path))


def _printable(text: str) -> str:
    """Names that are no Unicode text would make a page that cannot be written."""
    return text.encode("utf-8", "replace").decode("utf-8")
