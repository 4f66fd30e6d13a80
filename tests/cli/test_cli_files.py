"""What every command does with files: inputs are never written over, and what cannot be read is named."""

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

import birqa
from birqa.files import KeptResults, naming, replacing


@pytest.fixture
def pair(tmp_path, photographs, damage):
    """(ref.png, dist.png) of a folder, and meta.csv about them."""
    Image.fromarray(photographs[0]).save(tmp_path / "ref.png")
    Image.fromarray(damage("noise", photographs[0], 10)).save(tmp_path / "dist.png")
    (tmp_path / "meta.csv").write_text("ref,dist,mos\nref.png,dist.png,0.5\n")
    return tmp_path / "ref.png", tmp_path / "dist.png"


@pytest.mark.parametrize(
    ("arguments", "victim"),
    [
        ("score {ref} {dist} --csv {dist}", "dist.png"),
        ("score --pairs {meta} --csv {meta}", "meta.csv"),
        ("blind {dist} --csv {dist}", "dist.png"),
        ("map {ref} {dist} -o {dist}", "dist.png"),
        ("certify {dist} --samples 5 -o {dist}", "dist.png"),
        ("distort {ref} --type jpeg --level 3 -o {ref}", "ref.png"),
        ("attack {ref} {dist} -o {ref} --attack fgsm", "ref.png"),
        ("eval {meta} --cache {meta}", "meta.csv"),
        ("eval {meta} --scores {meta}", "meta.csv"),
        ("robustness birqa --data {meta} -o {meta}", "meta.csv"),
        ("data join {meta} {meta} --share .5 -o {meta}", "meta.csv"),
        ("data committee {meta} --peer piq:mdsi -o {meta}", "meta.csv"),
    ],
)
def test_no_input_is_written_over(refuses, pair, arguments, victim):
    ref, dist = pair
    before = (ref.parent / victim).read_bytes()
    words = arguments.format(ref=ref, dist=dist, meta=ref.parent / "meta.csv").split()
    refuses("is an input or another output, which would be destroyed", *words)
    assert (ref.parent / victim).read_bytes() == before


@pytest.mark.parametrize("output", ["score {ref} {dist} --csv -", "blind {dist} --csv -"])
def test_a_dash_is_no_file(refuses, pair, output, monkeypatch):
    monkeypatch.chdir(pair[0].parent)
    refuses("- would be a file of that name", *output.format(ref=pair[0], dist=pair[1]).split())
    assert not Path("-").exists()


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such file")
def test_the_file_that_standard_output_goes_to_is_not_replaced(python, pair, tmp_path):
    """A pipe is written to; a file that others write to as well would lose what they wrote."""
    arguments = ("score", *map(str, pair), "--csv", "/dev/stdout", "--threads", "1")
    piped = python("-m", "birqa", *arguments)
    assert piped.returncode == 0
    (row,) = csv.DictReader(piped.stdout.splitlines())
    assert Path(row["dist"]) == pair[1]
    out = tmp_path / "all.txt"
    with out.open("w") as file:
        file.write("before\n")
        file.flush()
        ended = subprocess.run([sys.executable, "-m", "birqa", *arguments], stdout=file, check=False)
    assert ended.returncode == 2
    assert out.read_text() == "before\n"


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no such folder")
def test_files_in_folders_of_devices_are_files(cli, pair):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for _ in range(2):
            assert cli("score", *pair, "--csv", Path(folder) / "a.csv").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        "score {ref} {dist} --csv {new} --report {new}",
        "certify {dist} --samples 5 -o {new} --curve {new}",
        "eval {meta} --cache {new} --scores {new}",
        "robustness birqa --data {meta} -o {new} --cache {new}",
    ],
)
def test_no_output_is_written_over_another(refuses, pair, arguments):
    ref, dist = pair
    new = ref.parent / "new"
    words = arguments.format(ref=ref, dist=dist, meta=ref.parent / "meta.csv", new=new).split()
    refuses("is an input or another output, which would be destroyed", *words)
    assert not new.exists()


def test_a_folder_is_no_file(refuses, pair):
    ref, dist = pair
    refuses("is a folder; name a file", "score", ref, dist, "--csv", ref.parent)


@pytest.mark.parametrize(
    "arguments",
    ["eval {gone}", "calibrate {gone} --data {gone}", "verify {gone}", "leaderboard {gone} -o l.md"],
)
def test_what_is_missing_is_named(refuses, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    refuses("gone.csv does not exist: check the path", *arguments.format(gone="gone.csv").split())


def test_one_missing_picture_of_many_stops_nothing(cli, pair):
    ref, dist = pair
    answer = cli("score", ref, dist, ref.parent / "gone.png")
    assert answer.code == 2
    assert "gone.png does not exist" in answer.err
    assert len([line for line in answer.out.splitlines() if str(dist) in line]) == 1
    answer = cli("blind", dist, ref.parent / "gone.png")
    assert answer.code == 2
    assert "gone.png does not exist" in answer.err
    assert str(dist) in answer.out


def test_a_table_of_missing_pictures_is_told_before_the_work(cli, pair, tmp_path):
    (tmp_path / "meta.csv").write_text("ref,dist,mos\nref.png,dist.png,0.5\nref.png,gone.png,0.4\n")
    answer = cli("train", "--data", tmp_path / "meta.csv", "-o", tmp_path / "run", "--steps", 1, "--batch", 2)
    assert (answer.code, answer.out) == (2, "")
    assert f"1 pictures do not exist, e.g. {tmp_path / 'gone.png'}" in answer.err


def test_nothing_that_could_be_scored_is_told(cli, pair):
    pair[1].write_bytes(b"")
    answer = cli("eval", pair[0].parent / "meta.csv")
    assert answer.code == 2
    assert "none of the 1 pairs could be scored" in answer.err


def test_ratings_off_the_scale_are_refused(refuses, cli, pair, tmp_path):
    (tmp_path / "points.csv").write_text("ref,dist,mos\ndist.png,ref.png,55\n")
    joined = ("data", "join", tmp_path / "meta.csv", tmp_path / "points.csv", "--share", 0.5)
    refuses("points.csv: 1 ratings are off the scale 0..1, for example 55", *joined, "-o", tmp_path / "j.csv")
    assert cli(*joined, "-o", tmp_path / "j.csv", "--mos-range", 0, 100).code == 0
    with (tmp_path / "j.csv").open() as file:
        assert [float(row["mos"]) for row in csv.DictReader(file)] == [0.5, 0.55]
    model = tmp_path / "none"
    refuses("1 ratings are outside 0..1", "calibrate", model, "--data", tmp_path / "points.csv")
    data = ("calibrate", model, "--data", tmp_path / "meta.csv")
    for value in (0, "inf", "nan"):
        refuses("should be a number above 0", *data, "--identity-mos", value)
    refuses("there is no metric", *data, "--mos-range", 0, 1)


def test_the_way_of_a_known_metric_cannot_be_turned(refuses, pair):
    meta = pair[0].parent / "meta.csv"
    refuses("which way piq:gmsd counts is known, so leave the - out", "eval", meta, "--peer", "-piq:gmsd")


def test_errors_name_their_file_once():
    assert naming(Path("d/1.png"), "r/1.png does not exist") == "r/1.png does not exist"
    assert naming(Path("d/1.png"), "r/x1.png does not exist") == "d/1.png: r/x1.png does not exist"
    assert naming(Path("d/1.png"), "it is empty") == "d/1.png: it is empty"


def test_kept_results_are_never_put_into_another_file(tmp_path):
    (tmp_path / "kept.jsonl").write_text('\n{"a": 1}\n{"b": 2')
    kept = KeptResults[int](tmp_path / "kept.jsonl")
    kept.add({"c": 3})
    assert KeptResults[int](tmp_path / "kept.jsonl").kept == {"a": 1, "c": 3}
    # An object on one line is no kept result either.
    (tmp_path / "recipe.json").write_text('{"steps": 5}')
    with pytest.raises(ValueError, match=r"recipe\.json holds no kept results"):
        KeptResults[int](tmp_path / "recipe.json")
    (tmp_path / "table.csv").write_text("ref,dist,mos\n")
    with pytest.raises(ValueError, match=r"table\.csv holds no kept results"):
        KeptResults[int](tmp_path / "table.csv")


def test_a_device_is_written_to_and_stays_one():
    from pathlib import Path

    null = Path("/dev/null")
    with replacing(null) as part:
        part.write_text("gone")
    assert null.is_char_device()


def test_a_link_stays_one(tmp_path):
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("old.txt")
    with replacing(tmp_path / "link.txt") as part:
        part.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "old.txt").read_text() == "new"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told_before_the_work(refuses, pair):
    ref, dist = pair
    out = ref.parent / "fixed" / "out.csv"
    out.parent.mkdir()
    out.write_text("")
    out.parent.chmod(0o555)
    refuses("may not be written", "score", ref, dist, "--csv", out)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder that takes no files")
def test_a_folder_that_takes_no_files_is_told_before_the_work(refuses, pair):
    refuses("may not be written", "score", *pair, "--csv", "/sys/kernel/out.csv")


def test_a_peer_s_table_is_not_written_over(refuses, pair):
    folder = pair[0].parent
    table = folder / "peer.csv"
    table.write_text("ref,dist,score\nref.png,dist.png,0.5\n")
    before = table.read_bytes()
    for spec in (f"csv:{table}", f"-csv:{table}"):
        refuses("is an input", "eval", folder / "meta.csv", "--peer", spec, "--scores", table)
    assert table.read_bytes() == before


def test_a_picture_that_a_grid_would_replace_is_told(refuses, pair):
    ref, _ = pair
    sheet = ref.rename(ref.with_name("sheet.png"))
    before = sheet.read_bytes()
    refuses("is an input", "distort", sheet, "--grid", "--type", "jpeg", "-o", sheet.parent)
    assert sheet.read_bytes() == before


def test_tables_behind_links_name_pictures_that_are_there(cli, pair, tmp_path):
    """`link/../file` is not what its text says: the system follows the link first."""
    store = tmp_path / "store"
    (store / "tables").mkdir(parents=True)
    for path in pair:
        path.rename(store / path.name)
    (store / "tables" / "t.csv").write_text(
        "ref,dist,mos\n../ref.png,../dist.png,0.5\n../ref.png,../ref.png,1\n../dist.png,../ref.png,0.4\n../dist.png,../dist.png,1\n"
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "tables").symlink_to(store / "tables")
    table = tmp_path / "home" / "tables" / "t.csv"
    (tmp_path / "more.csv").write_text("ref,dist,mos\nstore/dist.png,store/ref.png,0.5\n")
    joined, scores = tmp_path / "home" / "joined.csv", tmp_path / "home" / "scores.csv"
    assert cli("data", "join", table, tmp_path / "more.csv", "--share", 0.5, "-o", joined).code == 0
    assert cli("eval", table, "--scores", scores).code == 0
    for written in (joined, scores):
        with written.open() as file:
            for row in csv.DictReader(file):
                assert (written.parent / row["ref"]).is_file()
                assert (written.parent / row["dist"]).is_file()


def test_a_reader_that_leaves_is_no_verdict(pair):
    """1 would say below --fail-under, looks optimised, or refused."""
    ref, dist = pair
    command = [sys.executable, "-m", "birqa", "score", ref, *[dist] * 40, "--threads", "1"]
    source = Path(birqa.__file__).parents[1]
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(source)}
    )
    run.stdout.readline()
    run.stdout.close()
    complaint = run.stderr.read().decode()
    assert run.wait() == 141
    assert complaint == ""


def test_a_picture_too_large_for_the_engine_is_one_sentence(refuses, pair, tmp_path, monkeypatch):
    from birqa.engines import onnx

    def exhausted(*_):
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr(onnx.OnnxEngine, "pyramid", exhausted)
    refuses(
        "likely for want of memory (std::bad_alloc): score a smaller one",
        "map",
        *pair,
        "-o",
        tmp_path / "m.png",
    )
    monkeypatch.setattr(onnx.OnnxEngine, "explain", exhausted)
    refuses("does not fit into the free memory", "map", *pair, "-o", tmp_path / "m.png")


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_is_no_verdict(pair, closed):
    ref, dist = pair
    command = [sys.executable, "-m", "birqa", "score", str(ref), str(dist), "--fail-under", "0.1"]
    number = {"stdout": 1, "stderr": 2}[closed]
    answer = subprocess.run(
        ["sh", "-c", f'exec "$@" {number}>&-', "sh", *command], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0
    assert "Traceback" not in answer.stderr


def test_names_keep_to_their_line_and_column(cli, pair):
    ref, dist = pair
    odd = dist.rename(dist.parent / "a\tb\nc\x1b[31m.png")
    (line,) = cli("score", ref, odd).out.splitlines()
    assert line.split("\t")[1].endswith(r"a\tb\nc\x1b[31m.png")
    (line,) = cli("blind", odd).out.splitlines()
    assert line.split("\t")[1].endswith(r"a\tb\nc\x1b[31m.png")


def test_a_table_of_scores_serves_as_a_table_of_pairs(cli, pair, monkeypatch):
    ref, dist = pair
    monkeypatch.chdir(ref.parent)
    (ref.parent / "sub").mkdir()
    assert cli("score", ref.name, dist.name, "--csv", "sub/scores.csv").code == 0
    again = cli("score", "--pairs", "sub/scores.csv", "--json")
    assert again.code == 0
    assert json.loads(again.out)[0]["score"] == json.loads(cli("score", ref, dist, "--json").out)[0]["score"]


def test_an_empty_argument_is_not_the_current_folder(refuses, folder, monkeypatch):
    """As of a shell's variable that is not set."""
    monkeypatch.chdir(folder)
    for arguments in (["score", "ref/a.png", ""], ["blind", ""], ["score", "--metric", "", "ref", "dist"]):
        refuses("one of the arguments is empty", *arguments)
    refuses("Missing argument", "robustness", "--about", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told(refuses, folder):
    refuses("has no space left: free some", "score", folder / "ref", folder / "dist", "--csv", "/dev/full")


def test_names_of_files_that_would_hold_something_else_are_refused(refuses, folder):
    ref, dist = folder / "ref/a.png", folder / "dist/a.webp"
    refuses("the report is HTML", "score", ref, dist, "--report", folder / "r.pdf")
    refuses("--worst is about the pairs of --report", "score", ref, dist, "--worst", 3)
    refuses("several certificates need a folder", "certify", ref, dist, "-o", folder / "two.json")
    refuses("need a folder", "attack", ref, dist, folder / "dist/b.png", "-o", folder / "adv.png")
    assert sorted(path.name for path in folder.iterdir()) == ["dist", "ref"]


def test_two_that_write_one_file_leave_whole_files(tmp_path):
    """Begun one after another and ended in that order: each puts its own in place."""
    path = tmp_path / "record.json"
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            second.write_text("half of")
            assert first.read_text() == "first"
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_taken_over_when_nobody_can_still_write(tmp_path):
    path, left = tmp_path / "record.json", tmp_path / ".record.json.part"
    left.write_text("half of")
    os.utime(left, (0, 0))
    with replacing(path) as part:
        assert part == left
        part.write_text("whole")
    assert list(tmp_path.iterdir()) == [path]
