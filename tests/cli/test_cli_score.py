"""birqa score: what is paired, what is printed, and the exit code."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import birqa
from birqa.registry import find_model

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def table(answer):
    """Rows (score, dist, ref) as printed when nobody watches."""
    return [tuple(line.split("\t")) for line in answer.out.splitlines()]


@pytest.fixture
def expected(folder, metric_of):
    """Scores by name of dist."""
    dists = sorted((folder / "dist").iterdir())
    return {d.name: float(metric_of()(d, folder / "ref" / f"{d.stem}.png")[0]) for d in dists}


def test_two_files(cli, folder, expected):
    ref, dist = folder / "ref/b.png", folder / "dist/b.png"
    answer = cli("score", ref, dist)
    assert (answer.code, answer.err) == (0, "")
    assert table(answer) == [(f"{expected['b.png']:.4f}", str(dist), str(ref))]
    assert 0 < expected["b.png"] < 1


def test_a_picture_against_itself_scores_one(cli, folder):
    assert cli("score", folder / "ref/a.png", folder / "ref/a.png").out.startswith("1.0000\t")


def test_the_reference_comes_first(cli, folder, metric_of):
    ref, dist = folder / "ref/a.png", folder / "dist/a.webp"
    forth, back = (float(metric_of()(*pair)[0]) for pair in ((dist, ref), (ref, dist)))
    assert round(forth, 4) != round(back, 4)
    assert table(cli("score", ref, dist))[0][0] == f"{forth:.4f}"


def test_two_folders_pair_by_name_and_report_what_is_left_over(cli, folder, expected):
    shutil.copy(folder / "ref/a.png", folder / "ref/lonely.png")
    answer = cli("score", folder / "ref", folder / "dist")
    assert answer.code == 2
    assert cli("score", folder / "ref", folder / "dist", "--allow-unmatched").code == 0
    assert [(score, Path(dist).name) for score, dist, _ in table(answer)] == [
        (f"{expected[name]:.4f}", name) for name in ("a.webp", "b.png", "c.png")
    ]
    left, hint, summary = answer.err.splitlines()
    assert "files went together by path; --match name looks in all folders below" in hint
    assert left == f"birqa: {folder / 'ref/lonely.png'} has no partner and is left out."
    mean = np.mean([expected[name] for name in ("a.webp", "b.png", "c.png")])
    lowest = f"lowest {expected['a.webp']:.4f} ({folder / 'dist/a.webp'})"
    assert summary == f"birqa: 3 of 3 scored, mean {mean:.4f}, {lowest}"


def test_versions_that_carry_the_reference_in_their_names(cli, folder, expected):
    for name, version in (("a.webp", "q1/a_q10.webp"), ("b.png", "q1/b-1.png"), ("c.png", "c.png")):
        (folder / "versions" / version).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "dist" / name, folder / "versions" / version)
    answer = cli("score", folder / "ref", folder / "versions", "--match", "prefix")
    assert answer.code == 0
    assert [(score, Path(dist).name) for score, dist, _ in table(answer)] == [
        (f"{expected['a.webp']:.4f}", "a_q10.webp"),
        (f"{expected['b.png']:.4f}", "b-1.png"),
        (f"{expected['c.png']:.4f}", "c.png"),
    ]


def test_the_report_is_one_file(cli, folder, expected):
    out = folder / "report.html"
    (folder / "ref/d.png").write_bytes(b"")
    (folder / "dist/d.png").write_bytes(b"")
    answer = cli("score", folder / "ref", folder / "dist", "--report", out, "--worst", 1)
    assert (answer.code, answer.out) == (2, "")
    text = out.read_text(encoding="utf-8")
    for name, score in expected.items():
        assert f"{score:.4f}" in text
        assert str(folder / "dist" / name) in text
    assert "3 of 4 scored" in text
    assert text.count("<img") == 3
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    refused = cli("score", folder / "ref", folder / "dist", "--report", folder / "ref/a.png")
    assert refused.code == 2
    assert "is an input or another output, which would be destroyed" in refused.complaint


def test_one_reference_against_many(cli, folder, expected):
    ref = folder / "ref/b.png"
    many = [folder / "dist" / name for name in ("c.png", "b.png")]
    answer = cli("score", ref, *many)
    assert answer.code == 0
    rows = table(answer)
    assert [row[1:] for row in rows] == [(str(dist), str(ref)) for dist in many]
    assert rows[1][0] == f"{expected['b.png']:.4f}"
    assert float(rows[0][0]) < float(rows[1][0])
    assert len(table(cli("score", ref, folder / "dist"))) == 3


def test_pairs_from_a_table_are_relative_to_it(cli, folder, expected):
    (folder / "pairs.csv").write_text("dist,ref,note\ndist/b.png,ref/b.png,x\n\ndist/a.webp,ref/a.png,\n")
    answer = cli("score", "--pairs", folder / "pairs.csv")
    assert answer.code == 0
    assert [row[0] for row in table(answer)] == [f"{expected[name]:.4f}" for name in ("b.png", "a.webp")]


def test_the_example_pairs_are_all_there(cli):
    answer = cli("score", "--pairs", EXAMPLES / "pairs.csv", "--json")
    assert (answer.code, answer.err) == (0, "")
    scores = {Path(row["dist"]).name: row["score"] for row in json.loads(answer.out)}
    assert len(scores) == 10
    for name in ("bikes", "parrots"):
        assert scores[f"{name}.webp"] == 1
        assert scores[f"{name}_jpeg_q10.jpg"] < scores[f"{name}_jpeg_q85.jpg"] < 1


def test_json_is_a_list_of_objects_with_the_settings(cli, folder, expected, metric_of):
    answer = cli("score", folder / "ref", folder / "dist", "--json", "--background", "0.2,0.4,1")
    rows = json.loads(answer.out)
    assert answer.code == 0
    assert len(rows) == 3
    for row, name in zip(rows, ("a.webp", "b.png", "c.png"), strict=True):
        assert set(row) == {
            *("ref", "dist", "score", "low", "high", "bytes", "bits_per_pixel"),
            *("metric", "version", "settings"),
        }
        assert row["bytes"] == (folder / "dist" / name).stat().st_size
        width, height = Image.open(folder / "ref" / f"{name[0]}.png").size
        assert row["bits_per_pixel"] == pytest.approx(8 * row["bytes"] / (width * height), abs=1e-4)
        low, high = metric_of().interval([row["score"]])
        assert [row["low"], row["high"]] == pytest.approx([low[0], high[0]], abs=1e-4)
        assert 0 <= row["low"] < row["score"] <= row["high"] <= 1
        assert row["dist"] == str(folder / "dist" / name)
        assert row["ref"] == str(folder / "ref" / f"{name[0]}.png")
        assert row["score"] == pytest.approx(expected[name], abs=1e-6)
        assert row["metric"] == "birqa.kadid"
        assert row["version"] == metric_of().info.version
        assert row["settings"] == {
            "engine": "onnx",
            "device": "cpu",
            "weights": find_model("birqa").fingerprint,
            "resize": "none",
            "background": [0.2, 0.4, 1.0],
        }


def test_the_csv_holds_what_json_holds_and_replaces_an_older_one(cli, folder):
    (folder / "dist/b.png").write_bytes(b"damaged")
    out = folder / "scores.csv"
    out.write_text("old\n" * 1000)
    answer = cli("score", folder / "ref", folder / "dist", "--csv", out)
    assert (answer.code, answer.out) == (2, "")
    with out.open(newline="") as file:
        written = list(csv.DictReader(file))
    wanted = json.loads(cli("score", folder / "ref", folder / "dist", "--json").out)
    assert list(written[0]) == [
        "ref",
        "dist",
        "score",
        "low",
        "high",
        "bytes",
        "bits_per_pixel",
        "metric",
        "version",
        "settings",
        "error",
    ]
    for row, record in zip(written, wanted, strict=True):
        assert json.loads(row["settings"]) == record["settings"]
        assert row["error"] == record.get("error", "")
        for key in ("score", "low", "high", "bytes", "bits_per_pixel"):
            assert row[key] == ("" if record.get(key) is None else str(record[key]))
        assert [row[key] for key in ("ref", "dist", "metric", "version")] == [
            record[key] for key in ("ref", "dist", "metric", "version")
        ]
    assert sorted(path.name for path in folder.iterdir()) == ["dist", "ref", "scores.csv"]


def test_bits_are_counted_against_the_size_in_which_both_are_compared(cli, folder):
    small = folder / "small.jpg"
    Image.open(folder / "ref/b.png").resize((40, 36)).save(small)
    width, height = Image.open(folder / "ref/b.png").size
    for mode, pixels in (("dist-to-ref", width * height), ("ref-to-dist", 40 * 36)):
        (row,) = json.loads(cli("score", folder / "ref/b.png", small, "--json", "--resize", mode).out)
        assert row["bits_per_pixel"] == pytest.approx(8 * small.stat().st_size / pixels, abs=1e-4)


def test_a_csv_that_cannot_be_written_is_refused_before_scoring(refuses, folder, monkeypatch):
    monkeypatch.setattr("birqa.batch.score_pairs", lambda *_: pytest.fail("scored in vain"))
    out = folder / "absent" / "scores.csv"
    refuses(str(out.parent), "score", folder / "ref", folder / "dist", "--csv", out)


def test_a_score_below_the_limit_is_exit_code_1(cli, folder, expected):
    low, high = min(expected.values()), max(expected.values())
    assert high == 1
    pictures = "score", folder / "ref", folder / "dist"
    assert cli(*pictures, "--fail-under", f"{low - 0.01}").code == 0
    answer = cli(*pictures, "--fail-under", f"{low + 0.01}")
    assert answer.code == 1
    assert len(table(answer)) == 3
    # A score on the limit is not below it.
    assert cli("score", folder / "ref/c.png", folder / "dist/c.png", "--fail-under", "1").code == 0


def test_a_limit_outside_the_range_of_scores_is_refused(refuses, folder):
    for limit in ("85", "-1"):
        refuses("--fail-under", "score", folder / "ref", folder / "dist", "--fail-under", limit)


def test_a_damaged_file_is_reported_and_the_rest_is_scored(cli, folder, expected):
    (folder / "dist/b.png").write_bytes((folder / "dist/b.png").read_bytes()[:500])
    answer = cli("score", folder / "ref", folder / "dist")
    assert answer.code == 2
    assert [row[0] for row in table(answer)] == [f"{expected['a.webp']:.4f}", "failed", "1.0000"]
    told, summary = answer.err.splitlines()
    assert told.startswith(f"birqa: {folder / 'dist/b.png'} is truncated or damaged")
    assert summary.startswith("birqa: 2 of 3 scored")
    row = json.loads(cli("score", folder / "ref", folder / "dist", "--json").out)[1]
    assert row["score"] is None
    assert "truncated or damaged" in row["error"]


def test_a_failure_outweighs_a_score_below_the_limit(cli, folder):
    (folder / "dist/b.png").write_bytes(b"")
    assert cli("score", folder / "ref", folder / "dist", "--fail-under", "0.99").code == 2


def test_a_picture_listed_but_missing_is_reported_in_its_place(cli, folder, expected):
    (folder / "pairs.csv").write_text("ref,dist\nref/b.png,dist/absent.png\nref/b.png,dist/b.png\n")
    answer = cli("score", "--pairs", folder / "pairs.csv")
    assert answer.code == 2
    assert [row[0] for row in table(answer)] == ["failed", f"{expected['b.png']:.4f}"]
    assert "absent.png does not exist: check the path" in answer.err


def test_too_small_a_picture_is_reported_by_name(cli, folder):
    for side in ("ref", "dist"):
        Image.new("RGB", (40, 31)).save(folder / side / "b.png")
    answer = cli("score", folder / "ref", folder / "dist")
    assert answer.code == 2
    assert str(folder / "dist/b.png") in answer.err
    assert "40x31, but each side must be at least 32 pixels" in answer.err


def test_more_pairs_than_are_decoded_ahead_keep_their_order(cli, folder, expected):
    names = ["a.webp", "b.png", "c.png", "absent.png"] * 9
    rows = "".join(f"ref/{name[0]}.png,dist/{name}\n" for name in names)
    (folder / "ref/absent.png").write_bytes((folder / "ref/a.png").read_bytes())
    (folder / "pairs.csv").write_text(f"ref,dist\n{rows}")
    answer = cli("score", "--pairs", folder / "pairs.csv")
    assert answer.code == 2
    assert [row[0] for row in table(answer)] == [
        f"{expected[name]:.4f}" if name in expected else "failed" for name in names
    ]


# Sizes and transparency


@pytest.fixture
def halved(folder, photographs):
    path = folder / "half.png"
    Image.fromarray(photographs[0]).resize((64, 48)).save(path)
    return folder / "ref/a.png", path


def test_pictures_of_two_sizes_are_an_error_that_names_the_option(cli, halved):
    answer = cli("score", *halved)
    assert answer.code == 2
    assert "64x48" in answer.err
    assert "128x96" in answer.err
    assert "--resize" in answer.err
    assert str(halved[1]) in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("mode", ["dist-to-ref", "ref-to-dist"])
def test_resizing_on_request_is_recorded(cli, halved, metric_of, mode):
    (row,) = json.loads(cli("score", *halved, "--resize", mode, "--json").out)
    assert row["settings"]["resize"] == mode
    ref, dist = (birqa.load_image(path) for path in halved)
    wanted = Image.Resampling.LANCZOS
    if mode == "dist-to-ref":
        dist = np.asarray(Image.fromarray(dist).resize((128, 96), wanted))
    else:
        ref = np.asarray(Image.fromarray(ref).resize((64, 48), wanted))
    assert row["score"] == pytest.approx(float(metric_of()(dist, ref)[0]), abs=1e-6)
    assert row["score"] < 1


def test_transparency_is_laid_on_the_background(cli, folder, photographs):
    see_through = np.dstack([photographs[0], np.full((96, 128), 255, np.uint8)])
    see_through[:, 64:, 3] = 0
    dist = folder / "alpha.png"
    Image.fromarray(see_through).save(dist)
    for background, level in (("0", 0), ("1", 255), ("0.2,0.4,1", (51, 102, 255))):
        laid = photographs[0].copy()
        laid[:, 64:] = level
        Image.fromarray(laid).save(folder / "laid.png")
        (row,) = json.loads(cli("score", folder / "laid.png", dist, "--background", background, "--json").out)
        assert row["score"] == 1, background
    assert cli("score", folder / "laid.png", dist, "--background", "0.5").out < "0.99"


@pytest.mark.parametrize("background", ["grey", "2", "-0.1", "0.1,0.2", "0,0,0,1", "nan", "", "0.1;0.2;0.3"])
def test_a_background_that_is_no_colour_is_refused(refuses, folder, background):
    refuses(
        "is not a grey level or R,G,B with levels in 0..1",
        *("score", folder / "ref", folder / "dist", f"--background={background}"),
    )


# Which metric, on what


def test_a_folder_with_weights(cli, folder, tiny_model):
    (row,) = json.loads(
        cli("score", folder / "ref/a.png", folder / "dist/a.webp", "--metric", tiny_model, "--json").out
    )
    assert (row["metric"], row["version"]) == ("birqa.tiny", "7")


def test_the_engine_is_recorded_and_gives_the_same_score(cli, folder):
    rows = [
        json.loads(
            cli("score", folder / "ref/a.png", folder / "dist/a.webp", "--engine", engine, "--json").out
        )[0]
        for engine in ("onnx", "torch")
    ]
    assert [row["settings"]["engine"] for row in rows] == ["onnx", "torch"]
    assert rows[0]["score"] == pytest.approx(rows[1]["score"], abs=1e-4)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("there is no metric 'vmaf': use one of birqa, birqa.kadid", ["--metric", "vmaf"]),
        ("--engine", ["--engine", "tensorrt"]),
        ("--resize", ["--resize", "both"]),
        ("--threads", ["--threads", "0"]),
        ("use engine='torch'", ["--engine", "onnx", "--device", "cuda"]),
        ("nonsense", ["--device", "nonsense"]),
        ("cuda:99", ["--device", "cuda:99"]),
        ("not both", ["--pairs", "pairs.csv"]),
        ("No such option", ["--sharpen"]),
    ],
)
def test_options_that_cannot_be_meant_are_refused(refuses, folder, message, options):
    refuses(message, "score", folder / "ref", folder / "dist", *options)


def test_inputs_that_cannot_be_meant_are_refused(refuses, folder):
    refuses("REF and DIST are needed, or --pairs", "score")
    refuses("REF and DIST are needed, or --pairs", "score", folder / "ref")
    refuses("nowhere.png does not exist", "score", folder / "ref/a.png", folder / "nowhere.png")
    refuses("exactly one folder", "score", folder / "ref", folder / "dist/b.png")
    refuses("absent.csv does not exist", "score", "--pairs", folder / "absent.csv")
    (folder / "pairs.csv").write_text("a,b\n1,2\n")
    refuses("ref and dist are needed", "score", "--pairs", folder / "pairs.csv")


def test_help_names_every_command(cli):
    answer = cli("--help")
    assert answer.code == 0
    for command in ("score", "map", "eval", "metrics", "export", "data", "train"):
        assert f" {command} " in answer.out
        assert cli(command, "--help").code == 0


def test_help_names_the_extra_that_a_command_needs(cli):
    """Square brackets are markup to the printer of help, which swallows what is not escaped."""
    for command, extra in {"train": "torch", "train-blind": "torch", "data": "data"}.items():
        text = " ".join(cli(command, "--help").out.split())
        assert f"birqa[{extra}]" in text, command


def test_the_exit_code_reaches_the_shell(python, folder):
    ref, dist = folder / "ref/a.png", folder / "dist/a.webp"
    below = python("-m", "birqa", "score", ref, dist, "--fail-under", "0.99", "--threads", "1")
    assert below.returncode == 1
    assert below.stdout.endswith(f"\t{dist}\t{ref}\n")
    assert below.stderr == ""
    wrong = python("-m", "birqa", "score", ref, folder / "nowhere.png")
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert wrong.stderr.startswith("birqa: ")
    assert wrong.stderr.count("\n") == 1
