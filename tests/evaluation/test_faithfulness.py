"""Faithfulness, against SciPy and hand-made databases."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from birqa.evaluation.faithfulness import AUTHORS_FILES, read_authors_values, study_faithfulness
from birqa.ratings import RatedPair

FSIM, VSI = "piq:fsim", "piq:vsi"


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return [
        RatedPair(
            Path(f"kodim{ref:02d}.png"), Path("d.png"), float(rng.random()), "test", str(kind), str(level)
        )
        for ref in (3, 1)
        for kind in (24, 2)
        for level in (1, 2, 3, 4, 5)
    ]


def write(folder, name, values):
    (folder / name).write_text("\n".join(f"{value:.6f}" for value in values) + "\n")


def test_values_are_read_in_the_databases_order(tmp_path):
    write(tmp_path, AUTHORS_FILES[FSIM], range(3000))
    values = read_authors_values(tmp_path)
    assert list(values) == [FSIM]
    # i03_24_5 is the last of reference 3.
    assert values[FSIM][2, 23, 4] == 3 * 120 - 1
    assert values[FSIM][0, 1, 0] == 5


def test_correlations_are_those_of_scipy_on_the_same_pictures(rows):
    rng = np.random.default_rng(1)
    ours, real = rng.random(len(rows)), rng.random((25, 24, 5))
    study, without = study_faithfulness(rows, {FSIM: ours, VSI: ours}, {FSIM: real})
    mos = np.array([row.mos for row in rows])
    same = np.array([real[int(row.ref.stem[5:]) - 1, int(row.type) - 1, int(row.level) - 1] for row in rows])
    assert study.n == 20
    assert study.published == 0.851
    assert study.remade == pytest.approx(spearmanr(ours, mos).statistic)
    assert study.real == pytest.approx(spearmanr(same, mos).statistic)
    assert study.rank_agreement == pytest.approx(spearmanr(same, ours).statistic)
    assert list(study.remade_by_type) == list(study.real_by_type) == ["2", "24"]
    second = np.array([row.type == "2" for row in rows])
    assert study.real_by_type["2"] == pytest.approx(spearmanr(same[second], mos[second]).statistic)
    assert study.rank_agreement_by_type["2"] == pytest.approx(spearmanr(same[second], ours[second]).statistic)
    assert without.real is None
    assert without.real_by_type == {}
    assert without.remade_by_type == study.remade_by_type


def test_pictures_that_are_the_real_ones_agree_fully(rows):
    real = np.random.default_rng(2).random((25, 24, 5))
    ours = np.array([real[int(row.ref.stem[5:]) - 1, int(row.type) - 1, int(row.level) - 1] for row in rows])
    (study,) = study_faithfulness(rows, {FSIM: ours}, {FSIM: real})
    assert study.real == study.remade
    assert study.rank_agreement == pytest.approx(1)
    assert study.real_by_type == study.remade_by_type


@pytest.mark.parametrize(
    "change", [{"type": "25"}, {"level": ""}, {"ref": Path("photo.png")}, {"type": "11+3"}]
)
def test_a_row_that_is_not_of_tid2013_is_refused_by_name(rows, change):
    from dataclasses import replace

    broken = [replace(rows[0], **change), *rows[1:]]
    with pytest.raises(ValueError, match=r"d\.png is not named as TID2013"):
        study_faithfulness(broken, {FSIM: np.arange(20.0)})


@pytest.mark.parametrize(
    ("content", "message"),
    [("1\n2\n", "holds 2 numbers"), ("1\nx\n", "not a number"), (None, "holds none of")],
)
def test_a_folder_with_damaged_or_no_values_is_refused(tmp_path, content, message):
    if content:
        (tmp_path / "SSIM.txt").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_authors_values(tmp_path)
