"""Two-alternative choices, worked by hand."""

from pathlib import Path

import pytest

from birqa.evaluation.two_alternatives import study_judgements
from birqa.ratings import Judgement, read_judgements, table_kind


def judgements(*shares):
    return [Judgement(Path(f"r{k}"), Path("l"), Path("r"), share, "") for k, share in enumerate(shares)]


def test_a_metric_earns_the_share_that_chose_as_it_does():
    # Right, left, right, a tie, left: .9 + (1 - .2) + .4 + .5 + (1 - .3) over 5.
    (agreement,) = study_judgements(
        {"metric": ([0, 1, 0, 1, 1], [1, 0, 1, 1, 0])}, judgements(0.9, 0.2, 0.4, 1.0, 0.3), resamples=50
    )
    assert agreement.accuracy == pytest.approx((0.9 + 0.8 + 0.4 + 0.5 + 0.7) / 5)
    assert agreement.majority == pytest.approx((0.9 + 0.8 + 0.6 + 1.0 + 0.7) / 5)
    pairs = [(0.9, 0.1), (0.2, 0.8), (0.4, 0.6), (1.0, 0.0), (0.3, 0.7)]
    assert agreement.human == pytest.approx(sum(a * a + b * b for a, b in pairs) / 5)
    assert agreement.interval[0] <= agreement.accuracy <= agreement.interval[1]
    assert agreement.n == 5


def test_choices_on_fewer_than_five_references_have_no_interval():
    (agreement,) = study_judgements({"metric": ([0] * 4, [1] * 4)}, judgements(0.9, 0.9, 0.9, 0.9))
    assert agreement.accuracy == pytest.approx(0.9)
    assert agreement.interval is None


def test_siding_with_the_majority_earns_most_and_against_it_least():
    chosen = judgements(0.9, 0.2, 0.4, 0.7)
    right = [judgement.prefers_right for judgement in chosen]
    left = [1 - share for share in right]
    best, worst = study_judgements({"best": (left, right), "worst": (right, left)}, chosen, resamples=20)
    assert best.accuracy == pytest.approx(best.majority)
    assert worst.accuracy == pytest.approx(1 - best.accuracy)


def test_tables_of_choices_are_told_apart_and_read(tmp_path):
    path = tmp_path / "choices.csv"
    path.write_text("ref,left,right,prefers_right,split\na.png,b.png,c.png,0.25,Val\n")
    assert table_kind(path) == "choices"
    (judgement,) = read_judgements(path)
    assert judgement == Judgement(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png", 0.25, "val")
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("ref,dist,mos\na.png,b.png,1\n")
    assert table_kind(ratings) == "pairs"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ref,left,right\na,b,c\n", "missing columns: prefers_right"),
        ("ref,left,right,prefers_right\na,b,c,1.5\n", "line 2"),
        ("ref,left,right,prefers_right\na,b,c,nan\n", "line 2"),
        ("ref,left,right,prefers_right\na,b,c\n", "line 2"),
        ("prefers_right,ref,left,right\n0.5,a,b\n", "line 2: it does not have one value"),
        ("prefers_right,ref,left,right\n0.5,a,b,c,d\n", "line 2: it does not have one value"),
        ("ref,left,right,prefers_right\n", "holds no choices"),
        ("ref,left,right,prefers_right,split\na,b,c,1,tset\n", "split='tset' is not one of"),
    ],
)
def test_broken_tables_of_choices_are_refused(tmp_path, text, message):
    path = tmp_path / "choices.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_judgements(path)
