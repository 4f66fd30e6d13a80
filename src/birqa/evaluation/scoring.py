"""Many pairs through several metrics, one process a core; a broken run goes on where it was."""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np

from birqa.batch import load_pair
from birqa.evaluation.peers import Peer, check_names, fingerprint, load_peer
from birqa.files import KeptResults, file_state
from birqa.images import ResizeMode
from birqa.pairing import Pair
from birqa.workers import start_workers

# Pairs that a worker scores before the results are kept.
CHUNK = 20

Progress = Callable[[int, int], None]
"""Called with the number of scored pairs and the number of all of them."""


def score_by_peers(
    pairs: Sequence[Pair],
    peers: Sequence[str],
    kept: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    *,
    resize: ResizeMode = "none",
    background: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> tuple[np.ndarray, dict[int, str]]:
    """Scores (pairs, peers), oriented so that larger is better, and what went wrong by the pair's number.

    A failed pair's row is NaN. Scores are kept in `kept` (JSON lines) as they come and taken from there when
    the same files are scored by the same peers again; the caller decides how long to keep it. Raises
    ValueError or ImportError for a peer that cannot be made, or whose scores cannot be told apart.
    """
    for spec in peers:
        load_peer(spec, threads=1)
        check_names(spec, pairs)
    how = [*map(fingerprint, peers), resize, str(background)]
    done = KeptResults[list[float]](kept)
    errors: dict[int, str] = {}
    keys: dict[int, str] = {}
    for index, pair in enumerate(pairs):
        try:
            keys[index] = _key(pair, how)
        except OSError as error:
            errors[index] = f"{error.filename}: {error.strerror}"
    missing = [index for index, key in keys.items() if key not in done.kept]
    chunks = [missing[start : start + CHUNK] for start in range(0, len(missing), CHUNK)]
    count = min(workers or os.cpu_count() or 1, max(1, len(chunks)))
    with start_workers(count, _start_worker, tuple(peers)) as pool:
        work = partial(_score_chunk, partial(load_pair, resize=resize, background=background))
        results = pool.map(work, ([pairs[index] for index in chunk] for chunk in chunks))
        finished = len(pairs) - len(missing)
        for chunk in chunks:
            try:
                answers = next(results)
            except BrokenProcessPool:
                raise ValueError(
                    "a process that scored pairs has ended by itself, or for want of memory: leave out the "
                    "metric that did it, or take fewer workers."
                ) from None
            fresh = {}
            for index, answer in zip(chunk, answers, strict=True):
                if isinstance(answer, str):
                    errors[index] = answer
                else:
                    fresh[keys[index]] = answer
            done.add(fresh)
            finished += len(chunk)
            if progress:
                progress(finished, len(pairs))
    scores = np.full((len(pairs), len(peers)), np.nan)
    for index, key in keys.items():
        if key in done.kept:
            scores[index] = done.kept[key]
    return scores, errors


def score_all_by_peers(
    pairs: Sequence[Pair],
    peers: Sequence[str],
    kept: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """As `score_by_peers`, where nothing may be missing: raises ValueError for a pair that fails."""
    scores, errors = score_by_peers(pairs, peers, kept, workers, progress)
    if errors:
        first = min(errors)
        raise ValueError(
            f"{len(errors)} pairs could not be scored, first {pairs[first].dist}: {errors[first]}"
        )
    return scores


def _key(pair: Pair, how: Sequence[str]) -> str:
    """Of the files' size and time as well as their names: a picture made again is scored again."""
    parts: list[object] = [*how]
    for path in (pair.ref, pair.dist):
        parts += [path.resolve(), *file_state(path)]
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:24]


_peers: list[Peer] = []


def _start_worker(specs: tuple[str, ...]) -> None:
    # One thread a process: the processes are the parallelism.
    os.environ["OMP_NUM_THREADS"] = "1"
    _peers[:] = map(partial(load_peer, threads=1), specs)


def _score_chunk(
    load: Callable[[Pair], tuple[np.ndarray, np.ndarray]], pairs: list[Pair]
) -> list[list[float] | str]:
    """The scores of each pair, or why it could not be scored."""
    answers: list[list[float] | str] = []
    for pair in pairs:
        asked = ""
        try:
            dist, ref = load(pair)
            scores = []
            for peer in _peers:
                asked = peer.name
                scores.append(_finite(peer, peer.score(dist, ref, pair)))
            answers.append(scores)
        # Others' metrics raise anything, and some try to end the process.
        except (Exception, SystemExit) as error:
            told = isinstance(error, ValueError | OSError | RuntimeError) and str(error)
            message = str(error) if told else f"{type(error).__name__}: {error}"
            answers.append(message if asked in message else f"{asked}: {message}")
    return answers


def _finite(peer: Peer, score: float) -> float:
    if not math.isfinite(score):
        raise ValueError(f"{peer.name} gives {score}, which is no score.")
    return score
