"""Labels from a committee of classic metrics, beside or instead of human ratings.

A cell label (the mean rating of a distortion's type and level) says nothing about the picture it is put on,
and a combination of distortions has no rating at all. Each metric of the committee is mapped to the human
scale by a logistic curve fitted to the rated training pairs; the committee's opinion is the mean of them.
A rated pair gets (1 - weight) * rating + weight * opinion, an unrated one the opinion alone. Weak supervision
by classic metrics follows Lin, Hosu and Saupe, "DeepFL-IQA: weak supervision for deep IQA feature learning",
2020, who label KADIS-700k with eleven of them; the blend is ours.
"""

import csv
import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from birqa.batch import load_pair
from birqa.evaluation.logistic import fit_logistic
from birqa.evaluation.peers import Peer, load_peer
from birqa.files import replacing
from birqa.pairing import Pair

COLUMNS = ("ref", "dist", "mos", "human", "committee", "type", "level", "split")
# Pairs that a worker scores before the results are kept.
CHUNK = 25


@dataclass(frozen=True)
class _Row:
    pair: Pair
    human: float | None
    type: str
    level: str
    split: str


def label_by_committee(
    tables: Sequence[Path],
    out: Path,
    *,
    peers: Sequence[str],
    weight: float,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Score the pairs of all `tables` (CSV with ref,dist,mos,..., mos possibly empty) and write one table.

    `out` gets the columns `COLUMNS`, with paths relative to it; `mos` is the blend on rows of the split train
    and the rating itself on others, so that validation stays human. Unrated rows outside train are left out.
    Scores are kept in `OUT.scores.jsonl` as they come; a broken run is resumed by running it again, and the
    file is removed at the end. Raises ValueError where no pair is rated, or for a weight outside [0, 1].
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight={weight:g} should be from 0 (ratings alone) to 1 (committee alone).")
    rows = list(chain.from_iterable(_read(table) for table in tables))
    rows = [row for row in rows if row.split == "train" or row.human is not None]
    rated = [index for index, row in enumerate(rows) if row.split == "train" and row.human is not None]
    if not rated:
        raise ValueError(f"{tables[0]}: no training row has a rating, so nothing sets the committee's scale.")
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = out.with_name(f"{out.name}.scores.jsonl")
    scores = _score_all([row.pair for row in rows], peers, kept, workers, progress)
    ratings = np.array([rows[index].human for index in rated], np.float64)
    curves = [fit_logistic(scores[rated, column], ratings) for column in range(len(peers))]
    opinion = np.mean([curve(scores[:, column]) for column, curve in enumerate(curves)], axis=0)
    with replacing(out) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, committee in zip(rows, opinion, strict=True):
            label = committee
            if row.human is not None:
                share = weight if row.split == "train" else 0.0
                label = (1 - share) * row.human + share * committee
            paths = [os.path.relpath(path, out.parent) for path in (row.pair.ref, row.pair.dist)]
            human = "" if row.human is None else f"{row.human:.6f}"
            writer.writerow(
                [*paths, f"{label:.6f}", human, f"{committee:.6f}", row.type, row.level, row.split]
            )
    kept.unlink(missing_ok=True)
    return out


def _read(table: Path) -> list[_Row]:
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"ref", "dist", "mos"} <= set(reader.fieldnames or []):
            raise ValueError(f"{table}: the columns ref, dist and mos are needed.")
        rows = []
        for line, row in enumerate(reader, start=2):
            try:
                human = float(row["mos"]) if row["mos"] else None
            except ValueError:
                raise ValueError(f"{table}, line {line}: mos={row['mos']!r} is not a number.") from None
            pair = Pair(table.parent / row["ref"], table.parent / row["dist"])
            rows.append(
                _Row(
                    pair,
                    human,
                    row.get("type") or "",
                    row.get("level") or "",
                    (row.get("split") or "train").lower(),
                )
            )
    return rows


def _score_all(
    pairs: Sequence[Pair],
    peers: Sequence[str],
    kept: Path,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    """(pairs, peers), oriented scores."""
    done: dict[str, list[float]] = {}
    if kept.exists():
        for line in kept.read_text(encoding="utf-8").splitlines():
            # A killed run may leave half a line at the end.
            if line.endswith("}"):
                done.update(json.loads(line))
    keys = [_key(pair, peers) for pair in pairs]
    missing = [index for index, key in enumerate(keys) if key not in done]
    chunks = [missing[start : start + CHUNK] for start in range(0, len(missing), CHUNK)]
    count = min(workers or os.cpu_count() or 1, max(1, len(chunks)))
    context = multiprocessing.get_context("spawn")
    with (
        kept.open("a", encoding="utf-8") as file,
        ProcessPoolExecutor(count, context, initializer=_start_worker, initargs=(tuple(peers),)) as pool,
    ):
        results = pool.map(_score_chunk, ([pairs[index] for index in chunk] for chunk in chunks))
        for chunk, values in zip(chunks, results, strict=True):
            fresh = {keys[index]: value for index, value in zip(chunk, values, strict=True)}
            done |= fresh
            file.write("\n" + json.dumps(fresh))
            file.flush()
            if progress:
                progress(len(done), len(pairs))
    return np.array([done[key] for key in keys], np.float64)


def _key(pair: Pair, peers: Sequence[str]) -> str:
    """Of the files' place, size and time as well as their names: a picture made again is scored again."""
    parts: list[object] = [*peers]
    for path in (pair.ref, pair.dist):
        stat = path.stat()
        parts += [path.resolve(), stat.st_size, stat.st_mtime_ns]
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:24]


_peers: list[Peer] = []


def _start_worker(specs: tuple[str, ...]) -> None:
    # One thread a process: the processes are the parallelism.
    os.environ["OMP_NUM_THREADS"] = "1"
    _peers[:] = map(partial(load_peer, threads=1), specs)


def _score_chunk(pairs: list[Pair]) -> list[list[float]]:
    scores = []
    for pair in pairs:
        dist, ref = load_pair(pair)
        scores.append([peer.score(dist, ref, pair) for peer in _peers])
    return scores
