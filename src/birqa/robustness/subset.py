"""Parts of a rated set, and of its pictures, that stand for the whole where attacks on that take too long."""

from collections.abc import Sequence

import numpy as np

from birqa.batch import load_pair
from birqa.pairing import Pair
from birqa.ratings import RatedPair


def load_middle(pair: RatedPair, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(dist, ref), each the middle square of so many pixels a side, or the whole with 0.

    The corner lies on a multiple of 8, where the blocks of codecs begin. Raises ValueError for a picture that
    is smaller.
    """
    dist, ref = load_pair(Pair(pair.ref, pair.dist))
    if not side:
        return dist, ref
    height, width = dist.shape[:2]
    if min(height, width) < side:
        raise ValueError(f"{pair.dist} is {width}x{height}, smaller than the protocol's crop of {side}.")
    top, left = (height - side) // 16 * 8, (width - side) // 16 * 8
    window = (slice(top, top + side), slice(left, left + side))
    return dist[window], ref[window]


def stratified(pairs: Sequence[RatedPair], count: int, seed: int = 0) -> list[RatedPair]:
    """`count` pairs, spread evenly over (type, level) and over references; all of them if there are fewer.

    Cells are taken in a drawn order, each once before any is taken twice, and from each the pair whose
    reference was taken least so far.
    """
    if count >= len(pairs):
        return list(pairs)
    rng = np.random.default_rng(seed)
    cells: dict[tuple[str, str], list[RatedPair]] = {}
    for pair in pairs:
        cells.setdefault((pair.type, pair.level), []).append(pair)
    groups = [[cell[index] for index in rng.permutation(len(cell))] for cell in cells.values()]
    taken: dict[str, int] = {}
    chosen: list[RatedPair] = []
    while True:
        for index in rng.permutation(len(groups)):
            if not groups[index]:
                continue
            pair = min(groups[index], key=lambda one: taken.get(str(one.ref), 0))
            groups[index].remove(pair)
            taken[str(pair.ref)] = taken.get(str(pair.ref), 0) + 1
            chosen.append(pair)
            if len(chosen) == count:
                return sorted(chosen, key=lambda one: (str(one.ref), str(one.dist)))
