"""A part of a rated set that stands for all of it, where attacks on the whole would take too long."""

from collections.abc import Sequence

import numpy as np

from birqa.ratings import RatedPair


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
