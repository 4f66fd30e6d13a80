import numpy as np
import pytest

from birqa.blind.splits import eighty_twenty

NAMES = [str(number) for number in range(1, 1163)]
SAME = [("246", "333")]


@pytest.mark.parametrize("seed", range(10))
def test_every_picture_is_on_one_side_and_a_fifth_is_for_testing(seed):
    train, test = eighty_twenty(NAMES, seed, SAME)
    assert sorted([*train, *test]) == list(range(len(NAMES)))
    assert len(test) in (232, 233)
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()


def test_the_same_content_stays_on_one_side():
    sides = set()
    for seed in range(40):
        _, test = eighty_twenty(NAMES, seed, SAME)
        inside = {NAMES[place] for place in test} & set(SAME[0])
        assert inside in (set(), set(SAME[0]))
        sides.add(bool(inside))
    assert sides == {True, False}


def test_a_split_is_a_function_of_its_seed():
    first, again, other = (eighty_twenty(NAMES, seed, SAME)[1].tolist() for seed in (3, 3, 4))
    assert first == again != other


def test_a_seed_draws_these_very_pictures():
    train, test = eighty_twenty(list("abcdefghij"), 0, [("a", "b")])
    assert (train.tolist(), test.tolist()) == ([0, 1, 2, 3, 4, 7, 8, 9], [5, 6])


def test_the_order_of_the_names_does_not_matter():
    shuffled = [NAMES[place] for place in np.random.default_rng(1).permutation(len(NAMES))]
    _, test = eighty_twenty(NAMES, 7, SAME)
    _, shuffled_test = eighty_twenty(shuffled, 7, [SAME[0][::-1]])
    assert {NAMES[place] for place in test} == {shuffled[place] for place in shuffled_test}


@pytest.mark.parametrize(
    ("names", "groups", "message"),
    [
        (["a", "a", "b"], [], "twice"),
        (["a", "b"], [("a", "c")], "groups"),
        (["a", "b", "c"], [("a", "b"), ("b", "c")], "groups"),
    ],
)
def test_names_and_groups_that_fit_no_split_are_refused(names, groups, message):
    with pytest.raises(ValueError, match=message):
        eighty_twenty(names, 0, groups)
