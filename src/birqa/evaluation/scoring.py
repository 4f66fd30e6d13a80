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

Failures = dict[int, dict[int, str]]
"""Why a peer could not score a pair, by the numbers of the pair and of the peer."""


def score_by_peers(
    pairs: Sequence[Pair],
    peers: Sequence[str],
    kept: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    *,
    resize: ResizeMode = "none",
    background: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> tuple[np.ndarray, Failures]:
    """Scores (pairs, peers), oriented so that larger is better, NaN where one failed, and what went wrong.

    Scores are kept in `kept` (JSON lines) as they come and taken from there when a peer is asked for the same
    files again, whichever peers stand beside it; the caller decides how long to keep it. Raises ValueError or
    ImportError for a peer that cannot be made, or whose scores cannot be told apart.
    """
    for spec in peers:
        load_peer(spec, threads=1)
        check_names(spec, pairs)
    prints = [*map(fingerprint, peers)]
    done = KeptResults[float](kept)
    failures: Failures = {}
    keys: dict[tuple[int, int], str] = {}
    for index, pair in enumerate(pairs):
        try:
            of_pair = [str(background), resize, *_states(pair)]
        except OSError as error:
            failures[index] = dict.fromkeys(range(len(peers)), f"{error.filename}: {error.strerror}")
            continue
        keys |= {(index, place): _key([one, *of_pair]) for place, one in enumerate(prints)}
    missing: dict[int, list[int]] = {}
    for (index, place), key in keys.items():
        if key not in done.kept:
            missing.setdefault(index, []).append(place)
    tasks = [(index, pairs[index], places) for index, places in missing.items()]
    chunks = [tasks[start : start + CHUNK] for start in range(0, len(tasks), CHUNK)]
    count = min(workers or os.cpu_count() or 1, max(1, len(chunks)))
    with start_workers(count, _start_worker, tuple(peers)) as pool:
        work = partial(_score_chunk, partial(load_pair, resize=resize, background=background))
        results = pool.map(work, chunks)
        finished = len(pairs) - len(missing)
        for chunk in chunks:
            try:
                scored, failed = next(results)
            except BrokenProcessPool:
                raise ValueError(
                    "a process that scored pairs has ended by itself, or for want of memory: leave out the "
                    "metric that did it, or take fewer workers."
                ) from None
            done.add({keys[where]: score for where, score in scored.items()})
            failures |= failed
            finished += len(chunk)
            if progress:
                progress(finished, len(pairs))
    scores = np.full((len(pairs), len(peers)), np.nan)
    for where, key in keys.items():
        scores[where] = done.kept.get(key, np.nan)
    return scores, failures


def score_all_by_peers(
    pairs: Sequence[Pair],
    peers: Sequence[str],
    kept: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """As `score_by_peers`, where nothing may be missing: raises ValueError for a pair that fails."""
    scores, failures = score_by_peers(pairs, peers, kept, workers, progress)
    if failures:
        first = min(failures)
        raise ValueError(
            f"{len(failures)} pairs could not be scored, first {pairs[first].dist}: {told(failures[first])}"
        )
    return scores


def told(of_pair: dict[int, str]) -> str:
    """What went wrong with a pair, each reason once."""
    return "; ".join(dict.fromkeys(of_pair.values()))


def _states(pair: Pair) -> list[object]:
    """Of the files' size and time as well as their names: a picture made again is scored again."""
    return [part for path in (pair.ref, pair.dist) for part in (path.resolve(), *file_state(path))]


def _key(parts: Sequence[object]) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:24]


_peers: list[Peer] = []


def _start_worker(specs: tuple[str, ...]) -> None:
    # One thread a process: the processes are the parallelism.
    os.environ["OMP_NUM_THREADS"] = "1"
    _peers[:] = map(partial(load_peer, threads=1), specs)


def _score_chunk(
    load: Callable[[Pair], tuple[np.ndarray, np.ndarray]], tasks: list[tuple[int, Pair, list[int]]]
) -> tuple[dict[tuple[int, int], float], Failures]:
    """What the peers at the places say of each pair, by the numbers of both, and what went wrong."""
    scored: dict[tuple[int, int], float] = {}
    failures: Failures = {}
    for index, pair, places in tasks:
        try:
            dist, ref = load(pair)
        except Exception as error:
            failures[index] = dict.fromkeys(places, _why(error))
            continue
        for place in places:
            peer = _peers[place]
            try:
                scored[index, place] = _finite(peer, peer.score(dist, ref, pair))
            # Others' metrics raise anything, and some try to end the process.
            except (Exception, SystemExit) as error:
                why = _why(error)
                failures.setdefault(index, {})[place] = why if peer.name in why else f"{peer.name}: {why}"
    return scored, failures


def _why(error: BaseException) -> str:
    known = isinstance(error, ValueError | OSError | RuntimeError) and str(error)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _finite(peer: Peer, score: float) -> float:
    if not math.isfinite(score):
        raise ValueError(f"{peer.name} gives {score}, which is no score.")
    return score
