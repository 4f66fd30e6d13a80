"""birqa blind: files and folders, what is printed, and the exit code."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import birqa
from birqa.model import load_model


@pytest.fixture
def photos(tmp_path, photographs):
    """pictures/{a.png,b.webp,sub/c.png}."""
    for name, picture in zip(("a.png", "b.webp", "sub/c.png"), photographs, strict=True):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, lossless=True)
    return tmp_path / "pictures"


@pytest.fixture
def blind(cli, blind_model):
    return lambda *arguments: cli("blind", *arguments, "--metric", blind_model, "--threads", 1)


@pytest.fixture
def expected(photographs, blind_model):
    return [float(score) for score in birqa.create_metric(blind_model, threads=1)(photographs)]


def test_files_are_scored_in_their_order(blind, photos, expected):
    answer = blind(photos / "sub/c.png", photos / "a.png")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{expected[2]:.4f}\t{photos / 'sub/c.png'}\n{expected[0]:.4f}\t{photos / 'a.png'}\n"


def test_folders_are_searched(blind, photos, expected):
    answer = blind(photos)
    assert (answer.code, answer.err) == (0, "")
    rows = [line.split("\t") for line in answer.out.splitlines()]
    names = [photos / name for name in ("a.png", "b.webp", "sub/c.png")]
    assert rows == [[f"{score:.4f}", str(name)] for score, name in zip(expected, names, strict=True)]


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_json_says_what_made_the_score(blind, photos, expected, blind_model, engine):
    answer = blind(photos / "a.png", "--json", "--engine", engine)
    assert (answer.code, answer.err) == (0, "")
    (row,) = json.loads(answer.out)
    assert row == {
        "picture": str(photos / "a.png"),
        "score": pytest.approx(expected[0], abs=1e-4),
        "metric": "blind.tiny",
        "version": "7",
        "settings": {
            "engine": engine,
            "device": "cpu",
            "weights": load_model(blind_model).fingerprint,
            "shorter_side": None,
            "background": [0.5, 0.5, 0.5],
        },
    }


def test_scores_go_to_a_csv(blind, photos, expected, tmp_path):
    answer = blind(photos, "--csv", tmp_path / "scores.csv")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == [
        str(photos / name) for name in ("a.png", "b.webp", "sub/c.png")
    ]
    assert [float(row["score"]) for row in rows] == pytest.approx(expected)
    assert {(row["metric"], row["version"], row["error"]) for row in rows} == {("blind.tiny", "7", "")}
    assert json.loads(rows[0]["settings"])["engine"] == "onnx"
    both = blind(photos, "--csv", tmp_path / "again.csv", "--json")
    assert len(json.loads(both.out)) == 3
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "scores.csv").read_text()


def test_a_bad_file_is_reported_and_the_rest_goes_on(blind, photos, expected, tmp_path):
    (photos / "aa.png").write_text("no picture")
    Image.new("RGB", (40, 20)).save(photos / "ab.png")
    answer = blind(photos)
    assert answer.code == 2
    lines = answer.out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [
        *(f"{expected[0]:.4f}", "failed", "failed", f"{expected[1]:.4f}", f"{expected[2]:.4f}"),
    ]
    first, second = answer.err.splitlines()
    assert first.startswith("birqa: ")
    assert "aa.png" in first
    assert f"{photos / 'ab.png'}: the pictures are 40x20, but each side must be at least 32" in second
    rows = json.loads(blind(photos, "--json", "--csv", tmp_path / "scores.csv").out)
    assert [row["score"] is None for row in rows] == ["error" in row for row in rows]
    with (tmp_path / "scores.csv").open(newline="") as file:
        failed = list(csv.DictReader(file))[1]
    assert failed["score"] == ""
    assert "aa.png" in failed["error"]


def test_a_floor_decides_the_exit_code(blind, photos, expected):
    low, high = min(expected) - 0.01, sorted(expected)[1]
    assert blind(photos, "--fail-under", low).code == 0
    assert blind(photos, "--fail-under", high).code == 1
    (photos / "broken.png").write_text("no picture")
    assert blind(photos, "--fail-under", high).code == 2


def test_large_pictures_are_reduced_to_a_shorter_side(blind, photos, tmp_path, photographs, blind_model):
    reduced = Image.fromarray(photographs[0]).resize((64, 48), Image.Resampling.LANCZOS)
    wanted = float(birqa.create_metric(blind_model, threads=1)(np.array(reduced))[0])
    (row,) = json.loads(blind(photos / "a.png", "--shorter-side", 48, "--json").out)
    assert row["score"] == pytest.approx(wanted, abs=1e-6)
    assert row["settings"]["shorter_side"] == 48
    (plain,) = json.loads(blind(photos / "a.png", "--json").out)
    for side in (96, 500):
        (row,) = json.loads(blind(photos / "a.png", "--shorter-side", side, "--json").out)
        assert row["score"] == plain["score"] != pytest.approx(wanted, abs=1e-5)


def test_transparent_pictures_stand_on_the_background(blind, tmp_path, photographs):
    clear = np.dstack([photographs[0], np.full(photographs[0].shape[:2], 255, np.uint8)])
    clear[:, :64, 3] = 0
    Image.fromarray(clear).save(tmp_path / "clear.png")
    scores = []
    for level in ("0", "1"):
        (row,) = json.loads(blind(tmp_path / "clear.png", "--background", level, "--json").out)
        pixels = photographs[0].copy()
        pixels[:, :64] = 255 * int(level)
        Image.fromarray(pixels).save(tmp_path / "laid.png")
        (laid,) = json.loads(blind(tmp_path / "laid.png", "--json").out)
        assert row["score"] == pytest.approx(laid["score"], abs=1e-6)
        scores.append(row["score"])
    assert scores[0] != scores[1]


def test_mistakes_are_one_sentence(refuses, photos, blind_model, denoiser_model, tmp_path):
    use = "blind", photos / "a.png", "--metric"
    refuses("there is no metric 'nothing'", *use, "nothing")
    refuses("birqa.kadid compares pictures with references (birqa score)", *use, "birqa")
    refuses("denoiser.tiny cleans pictures", *use, denoiser_model)
    refuses("gone.png does not exist: check the path", "blind", photos / "gone.png", "--metric", blind_model)
    (tmp_path / "empty").mkdir()
    refuses("holds no pictures", "blind", tmp_path / "empty", "--metric", blind_model)
    refuses("does not exist; make it first", *use, blind_model, "--csv", tmp_path / "no/scores.csv")
    refuses("--fail-under", *use, blind_model, "--fail-under", 1.5)
    refuses("--shorter-side", *use, blind_model, "--shorter-side", 31)
    refuses("not a grey level", *use, blind_model, "--background", "pink")
    refuses("use engine='torch'", *use, blind_model, "--engine", "onnx", "--device", "cuda")


@pytest.mark.parametrize("command", ["score", "map"])
def test_commands_for_pairs_refuse_a_blind_metric(refuses, photos, blind_model, command, tmp_path):
    more = ("-o", tmp_path / "sheet.png") if command == "map" else ()
    pair = photos / "a.png", photos / "b.webp"
    refuses("blind.tiny scores single pictures (birqa blind)", command, *pair, *more, "--metric", blind_model)


def test_work_on_rated_pairs_refuses_a_blind_metric(cli, photos, blind_model, tmp_path):
    lines = ["a.png,b.webp,0.2", "b.webp,a.png,0.5", "a.png,a.png,0.9"]
    (photos / "meta.csv").write_text("\n".join(["ref,dist,mos", *lines]))
    for arguments in (
        ("eval", photos / "meta.csv"),
        ("calibrate", blind_model, "--data", photos / "meta.csv"),
    ):
        metric = ("--metric", blind_model) if arguments[0] == "eval" else ()
        answer = cli(*arguments, *metric)
        assert (answer.code, answer.out) == (2, "")
        assert "blind.tiny scores single pictures" in answer.complaint
