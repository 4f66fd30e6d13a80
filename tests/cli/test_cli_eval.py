"""birqa eval: agreement with human ratings."""

import json
import re
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import stats

import birqa


@pytest.fixture
def rated(tmp_path, photographs, damage):
    """meta.csv over seven pairs, with ratings that mostly fall with the noise."""

    rows = []
    for index, (sigma, mos) in enumerate([(3, 4.8), (8, 4.9), (15, 3.5), (25, 3.5), (40, 2.0), (60, 1.5)]):
        ref = photographs[index % 3][:: 1 if index < 3 else -1]
        Image.fromarray(ref).save(tmp_path / f"ref{index}.png")
        Image.fromarray(damage("noise", ref, sigma)).save(tmp_path / f"dist{index}.png")
        rows.append((f"ref{index}.png", f"dist{index}.png", mos))
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
    assert (record["failed"], record["pairs"], record["references"], record["resamples"]) == (0, 7, 6, 1000)
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
    rough = "of 6 references only, and so too narrow"
    assert head == f"{meta}: 7 pairs; brackets are 95 % intervals by reference, {rough}"
    assert ours.startswith("birqa.kadid")
    assert f"SROCC {wanted['srocc']:.4f} [" in ours
    assert re.search(
        rf"KROCC {wanted['krocc']:.4f} \[.*PLCC {wanted['plcc']:.4f} \[.*fitted .*\[.*RMSE .*\[", ours
    )
    assert "SROCC -1.0000" in peer
    # It orders as people do, only the other way round: no verdict.
    assert peer.endswith(f"rise: for a distance give -csv:{tmp_path / 'upside-down.csv'}")
    answer = cli("eval", meta, "--peer", f"-csv:{tmp_path / 'upside-down.csv'}", "--workers", "1")
    assert answer.out.splitlines()[2].endswith(": no clear difference")


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
    assert lines[-1].endswith(",1,,100")


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
    # dist0 is the reference under mild noise, dist3 another picture.
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


@pytest.fixture
def counting(tmp_path):
    """A command: peer that scores by the number in the picture's name, and the file of what it was asked."""
    asked = tmp_path / "asked.txt"
    (tmp_path / "peer.py").write_text(
        "import re, sys\n"
        f"open({str(asked)!r}, 'a').write(sys.argv[1] + '\\n')\n"
        "print(-int(re.findall(r'\\d+', sys.argv[1])[-1]))\n"
    )
    return f"command:{sys.executable} {tmp_path / 'peer.py'} {{dist}}", asked


def test_kept_scores_of_peers_are_taken_from_the_file(cli, rated, tmp_path, counting):
    spec, asked = counting
    arguments = (
        "eval",
        rated(),
        "--peer",
        spec,
        "--cache",
        tmp_path / "peers.jsonl",
        "--workers",
        "1",
        "--json",
    )
    first = cli(*arguments)
    assert len(asked.read_text().splitlines()) == 7
    assert cli(*arguments).out == first.out
    # Another peer beside it does not ask it again.
    beside = json.loads(cli(*arguments, "--peer", "torchmetrics:psnr").out)["agreements"]
    assert beside[1] == json.loads(first.out)["agreements"][1]
    assert len(asked.read_text().splitlines()) == 7


def test_kept_scores_of_a_table_that_has_changed_are_not_served(cli, rated, tmp_path):
    meta, cache, table = rated(), tmp_path / "peers.jsonl", tmp_path / "scores.csv"
    arguments = "eval", meta, "--peer", f"csv:{table}", "--cache", cache, "--workers", "1", "--json"
    for sign in (1, -1):
        rows = "".join(f"{ref},{dist},{sign * mos}\n" for ref, dist, mos in rated.rows)
        table.write_text("ref,dist,score\n" + rows)
        assert json.loads(cli(*arguments).out)["agreements"][1]["srocc"] == pytest.approx(sign)


def test_fewer_than_five_references_give_neither_interval_nor_verdict(cli, refuses, rated, tmp_path):
    # Four references: the rows of ref0..ref3, one of them twice.
    rows = [*rated.rows[:4], rated.rows[-1]]
    meta, table = rated(rows), tmp_path / "scores.csv"
    table.write_text("ref,dist,score\n" + "".join(f"{ref},{dist},{-mos}\n" for ref, dist, mos in rows))
    arguments = "eval", meta, "--peer", f"csv:{table}", "--workers", "1"
    record = json.loads(cli(*arguments, "--json").out)
    assert record["references"] == 4
    for agreement in record["agreements"]:
        assert set(agreement["intervals"].values()) == {None}
    (gap,) = record["differences"]
    assert (gap["median"], gap["interval"], gap["significant"]) == (None, None, None)
    answer = cli(*arguments)
    assert (answer.code, answer.err) == (0, "")
    head, *lines = answer.out.splitlines()
    assert head == f"{meta}: 5 pairs; too few references (4) for intervals, which need 5"
    for line in lines:
        assert "[" not in line
        assert " is " not in line
    refuses("4 references with 5 pairs are too few for random splits", "eval", meta, "--splits", 10)
    choices = tmp_path / "choices.csv"
    choices.write_text("ref,left,right,prefers_right\nref0.png,dist0.png,dist3.png,0.1\n")
    assert json.loads(cli("eval", choices, "--json").out)["agreements"][0]["interval"] is None
    printed = cli("eval", choices).out
    assert "too few references (1)" in printed
    assert printed.endswith("2AFC 0.9000\n")


def test_one_reference_under_two_paths_is_one_reference(cli, rated, tmp_path):
    (tmp_path / "deep").mkdir()
    rows = [(f"deep/../{ref}" if index % 2 else ref, *rest) for index, (ref, *rest) in enumerate(rated.rows)]
    assert (
        json.loads(cli("eval", rated([*rows[:6], ("deep/../ref0.png", "ref0.png", 5)]), "--json").out)[
            "references"
        ]
        == 6
    )


@pytest.mark.parametrize("second", ["ref0.png", "deep/../ref0.png"])
def test_a_split_that_shares_a_reference_with_another_is_refused(cli, refuses, rated, tmp_path, second):
    (tmp_path / "deep").mkdir()
    rows = [(*row, "test") for row in rated.rows[:6]]
    meta = rated([*rows, (second, "ref0.png", 5, "train")], "ref,dist,mos,split")
    refuses("ref0.png is in the splits test and train", "eval", meta, "--split", "test")
    # Nobody has asked for a split.
    assert cli("eval", meta).code == 0
    assert cli("eval", rated(rows, "ref,dist,mos,split"), "--split", "test").code == 0


def test_a_table_both_ways_round_is_two_peers_and_one_way_twice_is_refused(cli, refuses, rated, tmp_path):
    meta, table = rated(), tmp_path / "scores.csv"
    table.write_text("ref,dist,score\n" + "".join(f"{ref},{dist},{mos}\n" for ref, dist, mos in rated.rows))
    spec = f"csv:{table}"
    arguments = "eval", meta, "--workers", "1", "--peer", spec, "--peer"
    agreements = json.loads(cli(*arguments, f"-{spec}", "--json").out)["agreements"]
    assert [one["metric"] for one in agreements[1:]] == [spec, f"-{spec}"]
    assert [one["srocc"] for one in agreements[1:]] == pytest.approx([1, -1])
    refuses(f"{spec} is measured already", *arguments, spec)
    refuses("birqa.kadid is measured already", *arguments, "birqa.kadid")
    refuses("--peer birqa is measured already", *arguments, "birqa")


def test_the_scores_that_it_writes_are_a_peer(cli, refuses, rated, tmp_path):
    meta, out = rated(), tmp_path / "elsewhere" / "scores.csv"
    out.parent.mkdir()
    (tmp_path / "dist2.png").write_bytes(b"no picture")
    assert cli("eval", meta, "--scores", out).code == 2
    arguments = "eval", meta, "--workers", "1", "--peer", f"csv:{out}", "--json"
    ours, again = json.loads(cli(*arguments).out)["agreements"]
    assert again["srocc"] == pytest.approx(ours["srocc"])
    assert again["n"] == 6
    # Of several metrics it has to be said which.
    beside = out.with_name("beside.csv")
    more = "--scores", beside, "--peer", "torchmetrics:psnr", "--workers", "1"
    assert cli("eval", meta, *more).code == 2
    refuses(
        "name the one that you mean after a #, of birqa.kadid, torchmetrics:psnr",
        *("eval", meta, "--workers", "1", "--peer", f"csv:{beside}"),
    )
    spec = f"csv:{beside}#torchmetrics:psnr"
    one = json.loads(cli("eval", meta, "--workers", "1", "--peer", spec, "--json").out)["agreements"][1]
    assert one["metric"] == spec
    assert one["srocc"] == json.loads(cli("eval", meta, *more, "--json").out)["agreements"][1]["srocc"]


def test_a_score_that_is_no_number_leaves_its_pair_out_and_names_peer_and_pair(cli, rated, tmp_path):
    meta, table = rated(), tmp_path / "scores.csv"
    rows = [f"{ref},{dist},{'nan' if dist == 'dist2.png' else mos}\n" for ref, dist, mos in rated.rows]
    table.write_text("ref,dist,score\n" + "".join(rows))
    answer = cli("eval", meta, "--peer", f"csv:{table}", "--workers", "1", "--json")
    assert answer.code == 2
    assert answer.err == f"birqa: {tmp_path / 'dist2.png'}: csv:{table} gives nan, which is no score.\n"
    record = json.loads(answer.out)
    assert (record["pairs"], record["failed"]) == (6, 1)
    assert record["agreements"][1]["srocc"] == pytest.approx(1)


def test_a_peer_that_scores_nothing_is_left_out_and_the_others_are_evaluated(cli, rated, tmp_path):
    meta, alone = rated(), json.loads(cli("eval", rated(), "--json").out)
    spec = f"command:{sys.executable} -c raise(SystemExit(3)) {{dist}}"
    answer = cli("eval", meta, "--peer", spec, "--peer", "torchmetrics:psnr", "--workers", "1", "--json")
    assert answer.code == 2
    assert answer.err.startswith(f"birqa: {spec} scored nothing and is left out: ")
    assert len(answer.err.splitlines()) == 1
    record = json.loads(answer.out)
    assert (record["pairs"], record["failed"], record["left_out"]) == (7, 0, [spec])
    assert [one["metric"] for one in record["agreements"]] == ["birqa.kadid", "torchmetrics:psnr"]
    assert record["agreements"][0] == alone["agreements"][0]


def test_a_program_that_is_missing_is_told_once_before_the_work(refuses, rated):
    refuses("there is no program no-such-tool", "eval", rated(), "--peer", "command:no-such-tool {dist}")


def test_a_stray_quote_in_a_large_table_is_one_sentence(refuses, rated):
    meta = rated()
    meta.write_text('ref,dist,mos\n"' + "ref0.png,dist0.png,1\n" * 10_000)
    refuses("is no readable CSV", "eval", meta)


def test_a_metric_without_reference_is_measured_on_rated_pictures(cli, refuses, rated, tmp_path, monkeypatch):
    (tmp_path / "my_own.py").write_text("def dark(pictures):\n    return 1 - pictures.mean((1, 2, 3))\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = [(dist, mos) for _, dist, mos in rated.rows]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    meta = rated([*rows, ("broken.png", 3)], "image,mos")
    out = tmp_path / "scores.csv"
    answer = cli("eval", meta, "--peer", "-python:my_own:dark", "--scores", out, "--json")
    assert answer.code == 2
    assert "broken.png" in answer.err
    record = json.loads(answer.out)
    assert (record["metric"], record["pictures"], record["failed"]) == ("blind.clive-kadid", 7, 1)
    blind = birqa.create_metric("blind")
    pictures = [np.asarray(Image.open(tmp_path / name)) for name, _ in rows]
    for agreement, scores in zip(
        record["agreements"],
        ([float(blind(one)[0]) for one in pictures], [one.mean() for one in pictures]),
        strict=True,
    ):
        assert agreement["srocc"] == pytest.approx(stats.spearmanr(scores, [mos for _, mos in rows])[0])
    assert out.read_text().splitlines()[0] == "image,blind.clive-kadid,python:my_own:dark"
    # pyiqa tells which way its metrics count.
    falling = lambda pictures: -pictures.mean((1, 2, 3))  # noqa: E731
    falling.lower_better = True
    monkeypatch.setattr("birqa.evaluation.functions.pyiqa_metric", lambda name, device: falling)
    record = json.loads(cli("eval", meta, "--peer", "pyiqa:falling", "--json").out)
    assert record["agreements"][1]["srocc"] == agreement["srocc"]
    printed = cli("eval", meta, "--split", "train").out
    assert printed.startswith(f"{meta}: 7 pictures; brackets are 95 % intervals by picture")
    refuses("which way pyiqa:brisque counts is known", "eval", meta, "--peer", "-pyiqa:brisque")
    refuses("birqa.kadid compares pictures", "eval", meta, "--metric", "birqa")
    refuses("rates pictures alone: leave --resize", "eval", meta, "--cache", tmp_path / "kept")
    refuses("is fitted to noisy pictures", "eval", meta, "--metric", "blind.clive-denoised")


def test_scores_of_a_table_and_of_a_program_stand_beside_a_metric_without_reference(cli, rated, tmp_path):
    """The table's paths start at its own folder; the program prints the size of the file."""
    rows = [(f"dist{index}.png", 5 - index) for index in range(6)]
    meta = rated(rows, "image,mos")
    table = tmp_path / "elsewhere" / "own.csv"
    table.parent.mkdir()
    table.write_text("image,niqe\n" + "".join(f"../{name},{-(mos**3)}\n" for name, mos in rows))
    program = "python -c 'import os, sys; print(os.path.getsize(sys.argv[1]))' {dist}"
    peers = f"-csv:{table}", f"command:{program}"
    answer = cli("eval", meta, "--json", *(word for peer in peers for word in ("--peer", peer)))
    assert (answer.code, answer.err) == (0, "")
    _, ours, theirs = json.loads(answer.out)["agreements"]
    sizes = [(tmp_path / name).stat().st_size for name, _ in rows]
    assert ours["srocc"] == pytest.approx(1)
    assert theirs["srocc"] == pytest.approx(stats.spearmanr(sizes, [mos for _, mos in rows])[0])
    # A row that is missing leaves the picture out, as with references.
    table.write_text("image,niqe\n" + "".join(f"../{name},{-mos}\n" for name, mos in rows[1:]))
    answer = cli("eval", meta, "--peer", peers[0])
    assert answer.code == 2
    assert "has no score for" in answer.err
    assert answer.out.startswith(f"{meta}: 5 pictures")


def test_tables_of_pictures_are_no_pairs(refuses, rated):
    refuses(
        "which birqa eval and train-blind take",
        "train",
        "--data",
        rated([("ref0.png", 4)], "image,mos"),
        "-o",
        "x",
    )


def test_types_and_levels_are_printed_when_asked(cli, refuses, rated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(*row, "noise" if index % 2 else "blur", "x") for index, row in enumerate(rated.rows)]
    meta, table = rated(rows, "ref,dist,mos,type,level"), tmp_path / "scores.csv"
    table.write_text("ref,dist,score\n" + "".join(f"{ref},{dist},{mos}\n" for ref, dist, mos in rated.rows))
    arguments = "eval", meta, "--peer", "csv:scores.csv", "--workers", "1"
    within = json.loads(cli(*arguments, "--json").out)["agreements"][0]["srocc_by"]
    short, long = cli(*arguments).out.splitlines(), cli(*arguments, "--by-type").out.splitlines()
    assert long[: len(short)] == short
    table_of = [line.split() for line in long[len(short) :]]
    assert table_of == [
        ["SROCC", "by", "type", "birqa.kadid", "csv:scores.csv"],
        ["blur", f"{within['type']['blur']:.4f}", "1.0000"],
        ["noise", f"{within['type']['noise']:.4f}", "1.0000"],
        ["SROCC", "by", "level", "birqa.kadid", "csv:scores.csv"],
        ["x", f"{within['level']['x']:.4f}", "1.0000"],
    ]
    refuses("rates no types or levels", "eval", rated(), "--by-type")


def test_tables_by_type_stay_within_110_columns(capsys):
    from birqa.cli.evaluate import _print_groups
    from birqa.evaluation.agreement import Agreement, Study

    names = [f"package:metric-{number}" for number in range(12)]
    figures = 9, 0.9, 0.8, 0.9, 0.9, 0.1, {}
    _print_groups(Study([Agreement(name, *figures, {"type": {"1": 0.5}}) for name in names], []))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 110
    assert [name for line in lines for name in line.split() if name in names] == names
