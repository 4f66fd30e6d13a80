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
    assert (record["failed"], record["pairs"], record["references"], record["resamples"]) == (0, 7, 3, 1000)
    assert (record["metric"], record["data"], record["split"]) == ("birqa.kadid", str(meta), None)
    (agreement,) = record["agreements"]
    for name, value in wanted.items():
        assert agreement[name] == pytest.approx(value, abs=1e-6)
        assert 0 < value < 1
        low, high = agreement["intervals"][name]
        assert low <= value <= high
    assert record["differences"] == []


def test_the_table_names_data_metrics_and_verdicts(cli, rated, tmp_path):
    meta = rated()
    wanted = scipy_says(rated.rows, tmp_path)
    (tmp_path / "upside-down.csv").write_text(
        "ref,dist,score\n" + "".join(f"{ref},{dist},{-mos}\n" for ref, dist, mos in rated.rows)
    )
    answer = cli("eval", meta, "--peer", f"csv:{tmp_path / 'upside-down.csv'}", "--workers", "1")
    assert (answer.code, answer.err) == (0, "")
    head, ours, peer = answer.out.splitlines()
    assert head == f"{meta}: 7 pairs; brackets are 95 % intervals by reference"
    assert ours.startswith("birqa.kadid")
    assert f"SROCC {wanted['srocc']:.4f} [" in ours
    assert f"KROCC {wanted['krocc']:.4f}  PLCC {wanted['plcc']:.4f}, fitted " in ours
    assert "SROCC -1.0000" in peer
    assert peer.endswith(": better")


def test_peers_stand_beside_ours_on_the_same_pairs(cli, rated, tmp_path):
    meta = rated()
    own = {row[1]: index for index, row in enumerate(rated.rows)}
    (tmp_path / "scores.csv").write_text(
        "ref,dist,score\n" + "".join(f"{ref},{dist},{-own[dist]}\n" for ref, dist, _ in rated.rows[:-1])
    )
    out = tmp_path / "all.csv"
    peers = ["--peer", f"-csv:{tmp_path / 'scores.csv'}", "--peer", "torchmetrics:psnr", "--workers", "1"]
    answer = cli("eval", meta, "--json", "--scores", out, *peers)
    # The identical pair is missing from the table of scores, so it is left out for every metric.
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "has no score for" in answer.err
    record = json.loads(answer.out)
    assert (record["pairs"], record["failed"]) == (6, 1)
    names = [agreement["metric"] for agreement in record["agreements"]]
    assert names == ["birqa.kadid", f"csv:{tmp_path / 'scores.csv'}", "torchmetrics:psnr"]
    mos = [row[2] for row in rated.rows[:-1]]
    assert record["agreements"][1]["srocc"] == pytest.approx(stats.spearmanr(range(6), mos)[0])
    assert [gap["other"] for gap in record["differences"]] == names[1:]
    header, *lines = out.read_text().splitlines()
    assert header == "ref,dist," + ",".join(names)
    assert len(lines) == 7
    assert lines[-1].endswith(",1,,")


def test_types_and_levels_are_evaluated_apart(cli, rated):
    rows = [(*row, index % 2, "x") for index, row in enumerate(rated.rows)]
    answer = cli("eval", rated(rows, "ref,dist,mos,type,level"), "--json")
    within = json.loads(answer.out)["agreements"][0]["srocc_by"]
    assert set(within) == {"type", "level"}
    assert set(within["type"]) == {"0", "1"}
    assert within["level"]["x"] == pytest.approx(json.loads(answer.out)["agreements"][0]["srocc"])


def test_a_pair_that_cannot_be_scored_is_reported_and_the_rest_counted(cli, rated, tmp_path):
    (tmp_path / "dist2.png").write_bytes(b"no picture")
    meta = rated()
    answer = cli("eval", meta, "--json")
    assert answer.code == 2
    assert "dist2.png is not a picture" in answer.err
    assert answer.err.count("\n") == 1
    record = json.loads(answer.out)
    assert record["pairs"] == 6
    rest = [row for row in rated.rows if row[1] != "dist2.png"]
    assert record["agreements"][0]["srocc"] == pytest.approx(scipy_says(rest, tmp_path)["srocc"], abs=1e-6)


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


def test_choices_are_evaluated_by_the_share_of_people_who_agree(cli, rated, tmp_path):
    rated()
    table = tmp_path / "choices.csv"
    # dist0 is the mildest noise of its reference, dist3 a stronger one.
    table.write_text(
        "ref,left,right,prefers_right\nref0.png,dist0.png,dist3.png,0.1\nref0.png,dist3.png,dist0.png,0.6\n"
    )
    answer = cli("eval", table, "--json")
    assert (answer.code, answer.err) == (0, "")
    record = json.loads(answer.out)
    assert record["choices"] == 2
    assert record["agreements"][0]["accuracy"] == pytest.approx((0.9 + 0.6) / 2)
    printed = cli("eval", table).out
    assert f"{table}: 2 choices" in printed
    assert "2AFC 0.7500" in printed


def test_random_splits_are_summarised(cli, tmp_path, photographs, damage):
    from PIL import Image

    lines = ["ref,dist,mos"]
    for index in range(10):
        crop = photographs[index % 3][index * 4 :, index * 3 :]
        Image.fromarray(crop).save(tmp_path / f"r{index}.png")
        for sigma in (4, 12, 30):
            Image.fromarray(damage("noise", crop, sigma)).save(tmp_path / f"d{index}_{sigma}.png")
            lines.append(f"r{index}.png,d{index}_{sigma}.png,{1 / sigma}")
    meta = tmp_path / "splits.csv"
    meta.write_text("\n".join(lines))
    record = json.loads(cli("eval", meta, "--splits", 4, "--resamples", 20, "--json").out)
    splits = record["agreements"][0]["srocc_splits"]
    assert len(splits) == 4
    assert all(0.5 < value <= 1 for value in splits)
    assert "4 splits 0." in cli("eval", meta, "--splits", 4, "--resamples", 20).out


def test_kept_scores_of_peers_are_taken_from_the_file(cli, rated, tmp_path):
    meta, cache, table = rated(), tmp_path / "peers.jsonl", tmp_path / "scores.csv"
    table.write_text("ref,dist,score\n" + "".join(f"{ref},{dist},{mos}\n" for ref, dist, mos in rated.rows))
    arguments = "eval", meta, "--peer", f"csv:{table}", "--cache", cache, "--workers", "1", "--json"
    first = cli(*arguments)
    # A peer that no longer knows any pair cannot have been asked again.
    table.write_text("ref,dist,score\n")
    assert cli(*arguments).out == first.out
    assert json.loads(first.out)["agreements"][1]["srocc"] == pytest.approx(1)
