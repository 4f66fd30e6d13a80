"""birqa eval: agreement with human ratings."""

import json

import pytest
from scipy import stats

import birqa


@pytest.fixture
def rated(tmp_path, photographs, damage):
    """meta.csv over seven pairs, with ratings that mostly fall with the noise."""
    from PIL import Image

    rows = []
    for index, (sigma, mos) in enumerate([(3, 4.8), (8, 4.9), (15, 3.5), (25, 3.5), (40, 2.0), (60, 1.5)]):
        ref = photographs[index % 3]
        Image.fromarray(ref).save(tmp_path / f"ref{index % 3}.png")
        Image.fromarray(damage("noise", ref, sigma)).save(tmp_path / f"dist{index}.png")
        rows.append((f"ref{index % 3}.png", f"dist{index}.png", mos))
    rows.append(("ref0.png", "ref0.png", 5))

    def write(rows=rows, header="ref,dist,mos"):
        path = tmp_path / "meta.csv"
        path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
        return path

    write.rows = rows
    return write


def scipy_says(rows, folder):
    metric = birqa.create_metric(threads=1)
    scores = [float(metric(folder / dist, folder / ref)[0]) for ref, dist, _ in rows]
    mos = [row[2] for row in rows]
    return {
        "srocc": stats.spearmanr(scores, mos)[0],
        "plcc": stats.pearsonr(scores, mos)[0],
        "krocc": stats.kendalltau(scores, mos)[0],
    }


def test_the_correlations_are_those_of_scipy(cli, rated, tmp_path):
    meta = rated()
    wanted = scipy_says(rated.rows, tmp_path)
    answer = cli("eval", meta, "--json")
    assert (answer.code, answer.err) == (0, "")
    record = json.loads(answer.out)
    numbers = {"srocc", "plcc", "krocc", "n", "failed"}
    assert set(record) == {"metric", "version", "settings", "data", "split"} | numbers
    assert record["failed"] == 0
    assert (record["metric"], record["data"], record["n"]) == ("birqa.kadid", str(meta), 7)
    for name, value in wanted.items():
        assert record[name] == pytest.approx(value, abs=1e-6)
        assert 0 < value < 1


def test_the_table_names_metric_data_and_count(cli, rated, tmp_path):
    meta = rated()
    wanted = scipy_says(rated.rows, tmp_path)
    answer = cli("eval", meta)
    assert answer.code == 0
    assert answer.out == (
        f"birqa.kadid on {meta}: SROCC {wanted['srocc']:.4f}  PLCC {wanted['plcc']:.4f}  "
        f"KROCC {wanted['krocc']:.4f}  n=7\n"
    )


def test_a_pair_that_cannot_be_scored_is_reported_and_the_rest_counted(cli, rated, tmp_path):
    (tmp_path / "dist2.png").write_bytes(b"no picture")
    meta = rated()
    answer = cli("eval", meta, "--json")
    assert answer.code == 2
    assert "dist2.png is not a picture" in answer.err
    assert answer.err.count("\n") == 1
    record = json.loads(answer.out)
    assert record["n"] == 6
    rest = [row for row in rated.rows if row[1] != "dist2.png"]
    assert record["srocc"] == pytest.approx(scipy_says(rest, tmp_path)["srocc"], abs=1e-6)


def test_ratings_that_cannot_be_used_are_refused(refuses, rated, tmp_path):
    rows = rated.rows
    refuses("missing: mos", "eval", rated(header="ref,dist,rating"))
    refuses("line 3: mos='good' is not a number", "eval", rated([rows[0], (*rows[1][:2], "good"), *rows[2:]]))
    refuses("holds no pairs", "eval", rated([]))
    refuses("all ratings are 3", "eval", rated([(*row[:2], 3) for row in rows]))
    refuses("at least 3 rated pairs, but there are 2", "eval", rated(rows[:2]))
    refuses("absent.csv", "eval", tmp_path / "absent.csv")


def test_ratings_that_are_no_numbers_or_lack_a_picture_are_refused(refuses, rated):
    rows = rated.rows
    refuses("line 2", "eval", rated([(*rows[0][:2], "nan"), *rows[1:]]))
    refuses("line 2", "eval", rated([(4.5, "ref0.png"), *rows[1:]], header="mos,ref,dist"))


def test_a_table_in_another_encoding_is_refused_by_name(refuses, tmp_path):
    path = tmp_path / "meta.csv"
    path.write_bytes("ref,dist,mos\nä.png,b.png,1\n".encode("latin-1"))
    refuses(str(path), "eval", path)
