"""What a metric and its peers say of rated pairs or pictures: a column of scores each."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from birqa.batch import NOT_SCORED, score_pairs, score_pictures
from birqa.evaluation.functions import score_of_pictures
from birqa.evaluation.peers import OF_FILES, check_names, load_peer, refuse_minus
from birqa.evaluation.scoring import Failures, score_by_peers, told
from birqa.images import ResizeMode, load_image, to_float
from birqa.metric import FullReferenceMetric, NoReferenceMetric, create_no_reference
from birqa.pairing import Pair
from birqa.registry import full_name

Watch = Callable[[Iterator[Any], int], Iterator[Any]]
"""Passes on the results of so many scores, and may show how far they are."""


@dataclass(frozen=True)
class Columns:
    scores: dict[str, np.ndarray]
    """(N,) by the metric's name, ours first; larger is better, NaN where there is none."""
    errors: dict[int, str]
    """Why a row has to be left out, by its number."""
    left_out: dict[str, str]
    """Why a peer is, which scored nothing."""


def score_rated_pairs(
    scorer: FullReferenceMetric,
    pairs: Sequence[Pair],
    peers: Sequence[str],
    watch: Watch,
    *,
    workers: int | None = None,
    cache: Path | None = None,
    resize: ResizeMode = "none",
    background: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Columns:
    """`peers` are specs of `birqa.evaluation.peers`, whose scores are kept in `cache`.

    Raises ValueError for a peer that is there twice, and what `score_by_peers` raises.
    """
    names = _names(scorer.info.name, peers)
    table = np.empty((len(pairs), 0))
    failures: Failures = {}
    if peers:
        with tempfile.TemporaryDirectory() as folder:
            kept = cache or Path(folder) / "scores.jsonl"
            table, failures = score_by_peers(
                pairs, peers, kept, workers, resize=resize, background=background
            )
    ours = np.full(len(pairs), np.nan)
    errors: dict[int, str] = {}
    for index, result in enumerate(watch(score_pairs(scorer, pairs, resize, background), len(pairs))):
        if result.score is None:
            errors[index] = result.error or ""
        else:
            ours[index] = result.score
    return _together(scorer.info.name, ours, errors, names, table, failures)


def score_rated_pictures(
    scorer: NoReferenceMetric,
    pictures: Sequence[Path],
    peers: Sequence[str],
    watch: Watch,
    *,
    background: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Columns:
    """As `score_rated_pairs`, without references. `peers`: no-reference metrics of birqa, pyiqa:brisque,
    python:package.module:function of pictures (B, 3, H, W) in 0..1 that gives scores (B,), csv:FILE#COLUMN
    with the columns image and COLUMN, or command:PROGRAM {dist}; with - in front where smaller is better.
    """
    names = _names(scorer.info.name, peers)
    asked = [_no_reference(spec) for spec in peers]
    for spec in peers:
        check_names(spec, [Pair(picture, picture) for picture in pictures])
    ours = np.full(len(pictures), np.nan)
    table = np.full((len(pictures), len(peers)), np.nan)
    errors: dict[int, str] = {}
    failures: Failures = {}
    for index, result in enumerate(
        watch(score_pictures(scorer, pictures, background=background), len(pictures))
    ):
        if result.score is None:
            errors[index] = result.error or ""
            continue
        ours[index] = result.score
        if not asked:
            continue
        picture = to_float(load_image(pictures[index], background=background))
        for place, score in enumerate(asked):
            try:
                table[index, place] = score(picture, pictures[index])
            except NOT_SCORED as error:
                failures.setdefault(index, {})[place] = str(error) or type(error).__name__
    return _together(scorer.info.name, ours, errors, names, table, failures)


def _names(first: str, peers: Sequence[str]) -> list[str]:
    names: list[str] = []
    for spec in peers:
        name = spec.removeprefix("-")
        # The same scores may stand there twice, once turned round.
        name = spec if name in names else str(full_name(name))
        if name in (first, *names):
            raise ValueError(f"--peer {spec} is measured already: leave it out, or give it another name.")
        names.append(name)
    return names


def _together(
    first: str,
    ours: np.ndarray,
    errors: dict[int, str],
    names: Sequence[str],
    table: np.ndarray,
    failures: Failures,
) -> Columns:
    scored = np.flatnonzero(np.isfinite(ours))
    # A peer that fails everywhere would leave nothing to evaluate the others on.
    idle = {place for place in range(len(names)) if len(scored) and np.isnan(table[scored, place]).all()}
    for index, of_row in failures.items():
        others = {place: why for place, why in of_row.items() if place not in idle}
        if others and index not in errors:
            errors[index] = told(others)
    columns = {first: ours}
    columns |= {name: table[:, place] for place, name in enumerate(names) if place not in idle}
    return Columns(columns, errors, {names[place]: failures[scored[0]][place] for place in sorted(idle)})


def _no_reference(spec: str) -> Callable[[np.ndarray, Path], float]:
    """Of a picture (H, W, 3) in [0, 1] and its file."""
    plain = spec.removeprefix("-")
    sign = -1.0 if spec.startswith("-") else 1.0
    kind, colon, _ = plain.partition(":")
    refuse_minus(spec, kind)
    if not colon:
        metric = create_no_reference(plain)
        return lambda picture, _: float(metric(picture)[0])
    if kind in OF_FILES:
        peer = load_peer(spec)
        return lambda picture, file: peer.score(picture, picture, Pair(file, file))
    scores = score_of_pictures(plain, turned=True)

    def score(picture: np.ndarray, _: Path) -> float:
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)
        return sign * float(scores(planes)[0])

    return score
