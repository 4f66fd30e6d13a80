"""Labels from a committee, against the curves and blends worked out here."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from birqa.data.committee import COLUMNS, label_by_committee
from birqa.evaluation.logistic import fit_logistic
from birqa.pairing import Pair
from birqa.ratings import read_rated_pairs


@pytest.fixture
def tables(tmp_path, photographs, damage):
    """Two tables: one rated (train and val), one unrated (train and test)."""
    rated, unrated = tmp_path / "rated", tmp_path / "unrated"
    for folder in (rated, unrated):
        folder.mkdir()
        Image.fromarray(photographs[0]).save(folder / "ref.png")
    rows = ["ref,dist,mos,type,level,split"]
    for index, sigma in enumerate((2, 6, 12, 20, 30, 45)):
        Image.fromarray(damage("noise", photographs[0], sigma)).save(rated / f"{index}.png")
        rows.append(
            f"ref.png,{index}.png,{0.9 - 0.14 * index:.3f},11,{index},{'val' if index == 3 else 'train'}"
        )
    (rated / "meta.csv").write_text("\n".join(rows) + "\n")
    for index, radius in enumerate((1, 2)):
        Image.fromarray(damage("blur", photographs[0], radius)).save(unrated / f"{index}.png")
    (unrated / "meta.csv").write_text(
        "ref,dist,mos,type,level,split\nref.png,0.png,,1+3,2+2,train\nref.png,1.png,,1+4,2+3,test\n"
    )
    return [rated / "meta.csv", unrated / "meta.csv"]


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# Scores from a table, so that the committee's opinion is known without trusting any metric.
@pytest.fixture
def peer(tables, tmp_path):
    scores = tmp_path / "scores.csv"
    lines = ["ref,dist,score"]
    lines += [f"rated/ref.png,rated/{index}.png,{value}" for index, value in enumerate((10, 8, 5, 4, 2, 1))]
    lines.append("unrated/ref.png,unrated/0.png,10")
    scores.write_text("\n".join(lines) + "\n")
    return f"csv:{scores}"


SCORES = np.array([10, 8, 5, 4, 2, 1], float)


def test_labels_are_the_blend_of_rating_and_fitted_scores(tables, peer, tmp_path):
    out = label_by_committee(tables, tmp_path / "out" / "train.csv", peers=[peer], weight=0.3, workers=1)
    rows = read(out)
    assert tuple(rows[0]) == COLUMNS
    train = [index for index in range(6) if index != 3]
    mos = np.array([0.9 - 0.14 * index for index in range(6)])
    opinion = fit_logistic(SCORES[train], mos[train])(SCORES)
    assert len(rows) == 7
    for index, row in enumerate(rows[:6]):
        share = 0 if index == 3 else 0.3
        assert float(row["mos"]) == pytest.approx((1 - share) * mos[index] + share * opinion[index], abs=1e-5)
        assert float(row["human"]) == pytest.approx(mos[index], abs=1e-6)
        assert float(row["committee"]) == pytest.approx(opinion[index], abs=1e-5)
        assert row["type"] == "11"
        assert row["level"] == str(index)
        assert row["split"] == ("val" if index == 3 else "train")
        assert (out.parent / row["dist"]).resolve() == (tmp_path / "rated" / f"{index}.png").resolve()
    # The unrated training row has the opinion alone; the unrated test row is left out.
    assert rows[6]["human"] == ""
    assert rows[6]["mos"] == rows[6]["committee"]
    assert float(rows[6]["mos"]) == pytest.approx(opinion[0], abs=1e-5)
    # Both tables hold the same reference, under two paths.
    assert len({row["ref"] for row in rows}) == 1
    assert (out.parent / rows[6]["ref"]).resolve() == tmp_path / "rated" / "ref.png"


def test_an_unrated_type_takes_over_what_people_said_of_its_kin_beyond_the_committee(tables, peer, tmp_path):
    tables[1].write_text(tables[1].read_text().replace("1+3", "11|12"))
    rows = read(label_by_committee(tables, tmp_path / "train.csv", peers=[peer], weight=0.3, workers=1))
    train = [index for index in range(6) if index != 3]
    mos = np.array([0.9 - 0.14 * index for index in range(6)])
    opinion = fit_logistic(SCORES[train], mos[train])(SCORES)
    # Cells of one picture each, and one more: no dissent about what is flawless.
    where = np.append(opinion[train], opinion[train].max())
    beyond = np.append(mos[train] - opinion[train], 0)
    own = float(rows[6]["committee"])
    assert own == pytest.approx(opinion[0], abs=1e-5)
    nearness = np.exp(-0.5 * ((where - own) / 0.06) ** 2)
    expected = own + 0.7 * (nearness * beyond).sum() / nearness.sum()
    assert float(rows[6]["mos"]) == pytest.approx(expected, abs=1e-5)
    assert abs(expected - own) > 1e-4


def test_a_type_without_rated_kin_keeps_the_opinion(tables, peer, tmp_path):
    tables[1].write_text(tables[1].read_text().replace("1+3", "3|4"))
    rows = read(label_by_committee(tables, tmp_path / "train.csv", peers=[peer], weight=0.3, workers=1))
    assert rows[6]["mos"] == rows[6]["committee"]


def test_a_committee_is_the_mean_of_its_members(tables, peer, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text((tmp_path / "scores.csv").read_text().replace(",4\n", ",5.5\n"))

    def opinion(name, *peers):
        rows = read(label_by_committee(tables, tmp_path / name, peers=peers, weight=1, workers=1))
        return np.array([float(row["committee"]) for row in rows])

    first, second = opinion("a.csv", peer), opinion("b.csv", f"csv:{other}")
    np.testing.assert_allclose(opinion("c.csv", peer, f"csv:{other}"), (first + second) / 2, atol=2e-6)
    assert abs(first - second).max() > 0.01


def test_a_broken_run_goes_on_and_leaves_nothing_behind(tables, peer, tmp_path):
    out = tmp_path / "train.csv"
    expected = label_by_committee(tables, out, peers=[peer], weight=0.3, workers=1).read_text()
    out.unlink()
    table = tmp_path / "scores.csv"
    whole = table.read_text()
    table.write_text(whole.replace("rated/ref.png,rated/1.png,8\n", ""))
    with pytest.raises(ValueError, match=r"no score for .*1\.png"):
        label_by_committee(tables, out, peers=[peer], weight=0.3, workers=1)
    assert not out.exists()
    table.write_text(whole)
    (tmp_path / "train.csv.scores.jsonl").write_text('\n{"half a li')
    assert label_by_committee(tables, out, peers=[peer], weight=0.3, workers=1).read_text() == expected
    assert not (tmp_path / "train.csv.scores.jsonl").exists()


def test_kept_scores_are_used_again(tables, peer, tmp_path):
    from birqa.evaluation.peers import fingerprint
    from birqa.evaluation.scoring import _key, _states

    out = tmp_path / "train.csv"
    whole = label_by_committee(tables, out, peers=[peer], weight=0.3, workers=1).read_text()
    pairs = [
        Pair(row.ref, row.dist) for table in tables for row in read_rated_pairs(table, allow_unrated=True)
    ]
    # A table without scores cannot be what answers.
    (tmp_path / "scores.csv").write_text("ref,dist,score\n")
    keys = [_key([fingerprint(peer), "(0.5, 0.5, 0.5)", "none", *_states(pair)]) for pair in pairs]
    kept = dict(zip(keys, [*SCORES, SCORES[0]], strict=False))
    (tmp_path / "train.csv.scores.jsonl").write_text("\n" + json.dumps(kept))
    assert label_by_committee(tables, out, peers=[peer], weight=0.3, workers=1).read_text() == whole


def test_a_pair_that_two_tables_have_is_refused(tables, peer, tmp_path):
    with pytest.raises(ValueError, match=r"out\.csv has the pair .*0\.png more than once"):
        label_by_committee([tables[0], tables[0]], tmp_path / "out.csv", peers=[peer], weight=0.5)


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_a_weight_outside_0_to_1_is_refused(tables, peer, tmp_path, weight):
    with pytest.raises(ValueError, match="from 0"):
        label_by_committee(tables, tmp_path / "out.csv", peers=[peer], weight=weight)


def test_tables_without_a_rating_or_with_a_broken_one_are_refused(tables, peer, tmp_path):
    with pytest.raises(ValueError, match="no training row has a rating"):
        label_by_committee(tables[1:], tmp_path / "out.csv", peers=[peer], weight=0.5)
    tables[0].write_text("ref,dist,mos\nref.png,0.png,good\n")
    with pytest.raises(ValueError, match="line 2"):
        label_by_committee(tables, tmp_path / "out.csv", peers=[peer], weight=0.5)
    tables[0].write_text("ref,mos\nref.png,1\n")
    with pytest.raises(ValueError, match="columns ref, dist and mos"):
        label_by_committee(tables, tmp_path / "out.csv", peers=[peer], weight=0.5)


def test_labels_for_training_stay_on_the_scale(tables, peer, tmp_path, monkeypatch):
    monkeypatch.setattr("birqa.data.committee.fit_logistic", lambda *_: lambda scores: 0 * scores - 2)
    rows = read(label_by_committee(tables, tmp_path / "train.csv", peers=[peer], weight=0.5, workers=1))
    assert {float(row["mos"]) for row in rows if row["split"] == "train"} == {0}
    assert next(float(row["mos"]) for row in rows if row["split"] == "val") == pytest.approx(0.48)


def test_deviations_and_weights_are_kept(tables, peer, tmp_path):
    lines = tables[0].read_text().splitlines()
    with_more = [
        f"{lines[0]},std,weight",
        *(f"{line},0.{index},3" for index, line in enumerate(lines[1:], 1)),
    ]
    tables[0].write_text("\n".join(with_more) + "\n")
    out = label_by_committee(tables, tmp_path / "train.csv", peers=[peer], weight=0.5, workers=1)
    rated = [row for row in read_rated_pairs(out) if row.type == "11"]
    assert [row.std for row in rated] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert {row.weight for row in rated} == {3}
