"""Two rated sets in one table, and the line between their scales."""

import csv
from pathlib import Path

import numpy as np
import pytest

from birqa.data.distortions import KADID10K, LEVELS, TID2013
from birqa.data.joining import SAME_DISTORTIONS, find_common_scale, join_tables
from birqa.ratings import read_rated_pairs
from birqa.training.batches import BatchSampler

SHARED = Path(__file__).parents[3] / "shared" / "data" / "ratings"


def write(path, rows, header="ref,dist,mos,type,level,split"):
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def tables(tmp_path):
    first = write(
        tmp_path / "a" / "meta.csv",
        ["r1.png,d1.png,.5,1,1,train", "r2.png,d2.png,.7,1,2,train", "r3.png,d3.png,.9,1,3,val"],
    )
    second = write(tmp_path / "b" / "meta.csv", ["r9.png,d9.png,6,8,1,test", "r9.png,d8.png,1,8,2,test"])
    return first, second


def test_added_ratings_are_brought_to_the_scale_and_to_training(tables, tmp_path):
    out = join_tables(*tables, tmp_path / "joined.csv", mos_range=(2, 7), share=0.5)
    rows = read_rated_pairs(out)
    assert [row.mos for row in rows] == pytest.approx([0.5, 0.7, 0.9, 0.8, 0.0])
    assert [row.split for row in rows] == ["train", "train", "val", "train", "train"]
    assert [row.ref.parent.name for row in rows] == ["a", "a", "a", "b", "b"]
    assert [(row.type, row.level) for row in rows[2:4]] == [("1", "3"), ("8", "1")]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_added_references_get_their_share_of_the_draws(tables, tmp_path, share):
    rows = read_rated_pairs(join_tables(*tables, tmp_path / "joined.csv", mos_range=(2, 7), share=share))
    training = [row for row in rows if row.split == "train"]
    sampler = BatchSampler(training, 1, 1, 32, seed=0)
    added = [str(group[0].ref).endswith("r9.png") for group in sampler.groups]
    assert sampler.chances is not None
    assert sampler.chances[added].sum() == pytest.approx(share)
    assert np.ptp(sampler.chances[np.logical_not(added)]) == pytest.approx(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0}, "share=0"),
        ({"share": 1}, "share=1"),
        ({"share": 0.5, "mos_range": (1, 1)}, "must differ"),
    ],
)
def test_settings_that_mean_nothing_are_refused_and_nothing_is_written(tables, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        join_tables(*tables, tmp_path / "joined.csv", **options)
    assert not (tmp_path / "joined.csv").exists()


@pytest.mark.parametrize("held_out", ["../a/r3.png", "../b/../a/r3.png"])
def test_a_reference_that_is_held_out_is_not_added_for_training(tables, tmp_path, held_out):
    added = write(tmp_path / "b" / "meta.csv", ["r9.png,d9.png,.5,8,1,test", f"{held_out},d8.png,1,8,2,"])
    with pytest.raises(ValueError, match=r"r3\.png is in the splits val and train"):
        join_tables(tables[0], added, tmp_path / "joined.csv", share=0.5)
    assert not (tmp_path / "joined.csv").exists()


def test_a_copy_of_a_reference_that_is_held_out_is_not_added_for_training(tables, tmp_path):
    for folder, name in (("a", "r3.png"), ("b", "r9.png")):
        (tmp_path / folder / name).write_bytes(b"the same photograph")
    with pytest.raises(ValueError, match=r"is in the splits val and train"):
        join_tables(*tables, tmp_path / "joined.csv", mos_range=(2, 7), share=0.5)
    (tmp_path / "b" / "r9.png").write_bytes(b"another photograph")
    join_tables(*tables, tmp_path / "joined.csv", mos_range=(2, 7), share=0.5)


def test_a_table_that_was_joined_before_gives_the_next_its_share_too(tables, tmp_path):
    once = join_tables(*tables, tmp_path / "once.csv", mos_range=(2, 7), share=0.7)
    third = write(tmp_path / "c" / "meta.csv", ["r5.png,d5.png,.5,8,1,", "r6.png,d6.png,.5,8,1,"])
    rows = read_rated_pairs(join_tables(once, third, tmp_path / "twice.csv", share=0.4))
    sampler = BatchSampler([row for row in rows if row.split == "train"], 1, 1, 32, seed=0)
    added = [group[0].ref.name in ("r5.png", "r6.png") for group in sampler.groups]
    assert sampler.chances[added].sum() == pytest.approx(0.4)


def test_deviations_are_kept_on_the_scale_of_the_ratings(tables, tmp_path):
    header = "ref,dist,mos,type,level,split,std"
    first = write(tmp_path / "a" / "meta.csv", ["r1.png,d1.png,.5,1,1,train,0.1"], header)
    second = write(tmp_path / "b" / "meta.csv", ["r9.png,d9.png,6,8,1,test,0.5"], header)
    rows = read_rated_pairs(join_tables(first, second, tmp_path / "j.csv", mos_range=(2, 7), share=0.5))
    assert [row.std for row in rows] == pytest.approx([0.1, 0.1])


def test_a_pair_that_both_tables_have_is_refused(tables, tmp_path):
    added = write(tmp_path / "b" / "meta.csv", ["../a/r1.png,../a/d1.png,.7,8,1,train"])
    with pytest.raises(ValueError, match=r"d1\.png more than once"):
        join_tables(tables[0], added, tmp_path / "joined.csv", share=0.5)
    # Another picture of a reference that is trained on already is welcome.
    added = write(added, ["../a/r1.png,d9.png,.7,8,1,train"])
    assert len(read_rated_pairs(join_tables(tables[0], added, tmp_path / "joined.csv", share=0.5))) == 4


def test_a_table_without_training_rows_is_refused(tables, tmp_path):
    with pytest.raises(ValueError, match="no row has the split train"):
        join_tables(tables[1], tables[0], tmp_path / "joined.csv", share=0.5)


def ratings(path, rate, references=2):
    rows = [
        (ref, kind, level, rate(kind, level) + offset)
        for ref, offset in zip(range(references), np.linspace(-0.1, 0.1, references), strict=True)
        for kind in range(1, 26)
        for level in LEVELS
    ]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ref", "type", "level", "quality"])
        writer.writerows(rows)
    return path


def test_a_known_line_between_two_scales_is_found(tmp_path):
    """People who rate the logarithm of the strength alike, on scales that differ by a line."""
    quality = {}
    for tid_type, kadid_type in SAME_DISTORTIONS.items():
        for level in LEVELS:
            quality["tid", tid_type, level] = 0.5 + 0.1 * np.log(TID2013[tid_type].strengths[level - 1])
            strength = KADID10K[kadid_type].strengths[level - 1]
            quality["kadid", kadid_type, level] = 2 * (0.5 + 0.1 * np.log(strength)) - 0.3
    tid = ratings(tmp_path / "tid.csv", lambda kind, level: quality.get(("tid", kind, level), 9))
    kadid = ratings(tmp_path / "kadid.csv", lambda kind, level: quality.get(("kadid", kind, level), 9))
    scale = find_common_scale(tid, kadid)
    assert (scale.worst, scale.best) == pytest.approx((0.15, 0.65))
    assert scale.error == pytest.approx(0, abs=1e-9)


def test_a_missing_rating_is_named(tmp_path):
    whole = ratings(tmp_path / "kadid.csv", lambda kind, level: kind + level / 10)
    lacking = tmp_path / "tid.csv"
    lacking.write_text("\n".join(line for line in whole.read_text().splitlines() if ",8,3," not in line))
    with pytest.raises(ValueError, match=r"tid\.csv has no rating for type 8, level 3"):
        find_common_scale(lacking, whole)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the ratings are not at hand")
def test_the_two_databases_agree_on_what_both_rated():
    scale = find_common_scale(SHARED / "tid2013.csv", SHARED / "kadid10k.csv")
    assert len(scale.points) == 11
    tid, kadid = np.array(scale.points)[:, 2:].T
    assert np.corrcoef(tid, kadid)[0, 1] > 0.97
    assert scale.error < 0.05
    assert 0.2 < scale.worst < 0.3 < 0.8 < scale.best < 0.95
