"""Random splits of rated pictures, each a function of its seed alone."""

from collections.abc import Sequence

import numpy as np


def eighty_twenty(
    names: Sequence[str], seed: int, groups: Sequence[Sequence[str]] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """The places in `names` of the training and of the test pictures, each in rising order.

    `groups` lists names that show the same content: they stay on one side. The order of `names` does not
    matter. A fifth of the pictures, rounded, is for testing; a group drawn last may make it a little more.

    Raises ValueError for names that are not unique, and for groups with unknown names or shared ones.
    """
    if len(set(names)) != len(names):
        raise ValueError("some names stand twice: give each picture once.")
    grouped = [name for group in groups for name in group]
    if not set(grouped) <= set(names) or len(set(grouped)) != len(grouped):
        raise ValueError("groups must be made of the names given, each in one group at most.")
    alone = set(names) - set(grouped)
    units = sorted([*(sorted(group) for group in groups), *([name] for name in alone)])
    test: set[str] = set()
    for place in np.random.default_rng(seed).permutation(len(units)):
        if len(test) >= round(len(names) / 5):
            break
        test.update(units[place])
    is_test = np.array([name in test for name in names], bool)
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)
