"""birqa attack: what it saves, what it says about it, resuming, and what it refuses."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import birqa
from birqa.attacks import files


def _attack(*arguments, metric):
    return ("attack", *arguments, "--metric", metric)


def test_the_printed_figures_are_those_of_the_saved_picture(cli, folder, tiny_model):
    ref, dist, out = folder / "ref" / "a.png", folder / "dist" / "a.webp", folder / "adv.png"
    answer = cli(*_attack(ref, dist, "-o", out, "--set", "steps=4", "--json", metric=tiny_model))
    assert answer.code == 0
    printed = json.loads(answer.out)
    assert printed["settings"]["steps"] == 4
    assert printed["settings"]["budget"] == pytest.approx(8 / 255)
    (outcome,) = printed["outcomes"]
    metric = birqa.create_metric(tiny_model)
    assert outcome["before"] == pytest.approx(metric(dist, ref)[0], abs=1e-4)
    assert outcome["after"] == pytest.approx(metric(out, ref)[0], abs=1e-4)
    assert outcome["after"] > outcome["before"]
    before, after = (birqa.load_image(path).astype(int) for path in (dist, out))
    assert 1 <= np.abs(after - before).max() <= 8
    assert outcome["psnr"] == pytest.approx(peak_signal_noise_ratio(before, after, data_range=255), abs=1e-3)


def test_a_folder_gets_a_table_and_goes_on_where_it_was(cli, folder, tiny_model):
    out = folder / "attacked"
    arguments = _attack(folder / "ref", folder / "dist", "-o", out, "--attack", "ifgsm", metric=tiny_model)
    whole = cli(*arguments, "--direction", "bidirectional")
    assert whole.code == 0
    with (out / "attack.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["direction"] for row in rows].count("down") in (1, 2)
    for row in rows:
        moved = float(row["after"]) - float(row["before"])
        # Rounding to 8 bit may cost a little of what a step won.
        assert moved * (1 if row["direction"] == "up" else -1) > -1e-3
    # What is missing is made again, the rest is kept.
    (out / "b.png").unlink()
    kept = (out / "a.png").stat().st_mtime_ns
    assert cli(*arguments, "--direction", "bidirectional").code == 0
    assert (out / "b.png").exists()
    assert (out / "a.png").stat().st_mtime_ns == kept
    other = cli(*arguments, "--direction", "up")
    assert other.code == 2
    assert "holds an attack with other settings" in other.complaint


def test_other_inputs_of_the_same_name_are_attacked_anew(cli, folder, tiny_model):
    out = folder / "attacked"
    arguments = _attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model)

    def outcomes():
        printed = json.loads(cli(*arguments, "--json").out)["outcomes"]
        kept = {one["attacked"]: one for one in json.loads((out / "attack.json").read_text())["outcomes"]}
        for one in printed:
            assert len(kept[one["attacked"]].pop("inputs")) == 64
            assert kept[one["attacked"]] == one
        return printed

    first = outcomes()
    assert outcomes() == first
    for side, changed in (("dist", 1), ("ref", 0)):
        name = {"dist": "b.png", "ref": "a.png"}[side]
        Image.open(folder / side / name).rotate(180).save(folder / side / name)
        second = outcomes()
        assert [one != other for one, other in zip(first, second, strict=True)].index(True) == changed
        assert sum(one != other for one, other in zip(first, second, strict=True)) == 1
        metric = birqa.create_metric(tiny_model)
        again = second[changed]
        assert again["before"] == pytest.approx(metric(again["dist"], again["ref"])[0], abs=1e-4)
        first = second


def test_a_picture_whose_direction_has_changed_is_attacked_anew(cli, folder, tiny_model):
    out = folder / "attacked"
    arguments = _attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model)
    bidirectional = (*arguments, "--direction", "bidirectional", "--json")
    first = json.loads(cli(*bidirectional).out)["outcomes"]
    # Beside noise, a is no longer one of the worse.
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    for name in ("b.png", "c.png"):
        Image.fromarray(noise).save(folder / "dist" / name)
    second = json.loads(cli(*bidirectional).out)["outcomes"]
    assert (first[0]["direction"], second[0]["direction"]) == ("up", "down")
    assert second[0]["after"] < second[0]["before"]


def test_another_way_to_resize_is_another_run(cli, folder, tiny_model):
    out = folder / "attacked"
    arguments = _attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model)
    assert cli(*arguments).code == 0
    other = cli(*arguments, "--resize", "dist-to-ref")
    assert other.code == 2
    assert "holds an attack with other settings" in other.complaint
    assert other.out == ""


@pytest.mark.parametrize("text", ["{}", '{"settings": ', "[]", "\xff"])
def test_a_damaged_record_is_named(folder, tiny_model, refuses, text):
    out = folder / "attacked"
    out.mkdir()
    (out / "attack.json").write_bytes(text.encode("latin-1"))
    answer = refuses(
        "attack.json",
        *_attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model),
    )
    assert "choose another folder" in answer.complaint
    assert not list(out.glob("*.png"))


def test_a_record_that_lacks_something_of_an_outcome_is_damaged(cli, folder, tiny_model, refuses):
    out = folder / "attacked"
    arguments = _attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model)
    assert cli(*arguments).code == 0
    record = json.loads((out / "attack.json").read_text())
    del record["outcomes"][0]["psnr"]
    (out / "attack.json").write_text(json.dumps(record))
    refuses("attack.json is damaged or no record of an attack: delete it, or choose", *arguments)


def test_small_pictures_are_refused_and_leave_nothing_behind(cli, folder, tiny_model, refuses):
    for side, name in (("ref", "b.png"), ("dist", "b.png")):
        Image.open(folder / side / name).crop((0, 0, 40, 31)).save(folder / side / name)
    ref, dist, out = folder / "ref" / "b.png", folder / "dist" / "b.png", folder / "adv.png"
    refuses(
        "b.png is 40x31, but each side must be at least 32 pixels",
        *_attack(ref, dist, "-o", out, "--attack", "fgsm", metric=tiny_model),
    )
    assert not out.exists()
    out = folder / "attacked"
    answer = cli(*_attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model))
    assert answer.code == 2
    assert "b.png is 40x31, but each side must be at least 32 pixels" in answer.complaint
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "attack.csv", "attack.json", "c.png"]


def test_a_picture_whose_outcome_fails_is_not_written(cli, folder, monkeypatch):
    (folder / "metric_that_fails.py").write_text(
        "calls = []\n"
        "def score(dist, ref):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 3:\n"
        "        raise ValueError('the metric fails.')\n"
        "    return -(dist - ref).abs().mean((1, 2, 3))\n"
    )
    monkeypatch.syspath_prepend(folder)
    out = folder / "adv.png"
    answer = cli(
        *_attack(
            *(folder / "ref" / "b.png", folder / "dist" / "b.png", "-o", out, "--attack", "fgsm"),
            metric="python:metric_that_fails:score",
        )
    )
    assert (answer.code, answer.out) == (2, "")
    assert "the metric fails" in answer.complaint
    assert not out.exists()


def test_no_change_is_null_in_json_and_infinite_otherwise(cli, folder, monkeypatch):
    (folder / "metric_of_nothing.py").write_text(
        "def score(dist, ref):\n    return 0 * dist.mean((1, 2, 3))\n"
    )
    monkeypatch.syspath_prepend(folder)
    out = folder / "attacked"
    arguments = _attack(
        *(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm"),
        metric="python:metric_of_nothing:score",
    )

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    for _ in range(2):
        printed = cli(*arguments, "--json").out
        for text in (printed, (out / "attack.json").read_text()):
            outcomes = json.loads(text, parse_constant=refuse)["outcomes"]
            assert [outcome["psnr"] for outcome in outcomes] == [None] * 3
    written = (out / "a.png").stat().st_mtime_ns
    table = cli(*arguments)
    assert [line.split("\t")[2] for line in table.out.splitlines()[2:]] == ["inf"] * 3
    with (out / "attack.csv").open() as file:
        assert all(math.isinf(float(row["psnr"])) for row in csv.DictReader(file))
    assert (out / "a.png").stat().st_mtime_ns == written


def test_inputs_are_not_overwritten(folder, tiny_model, refuses):
    before = (folder / "dist" / "b.png").read_bytes()
    for inputs, out in (
        ((folder / "ref" / "b.png", folder / "dist" / "b.png"), folder / "dist" / "b.png"),
        ((folder / "ref", folder / "dist"), folder / "dist"),
    ):
        refuses("is an input", *_attack(*inputs, "-o", out, "--attack", "fgsm", metric=tiny_model))
    assert (folder / "dist" / "b.png").read_bytes() == before


def test_neither_inputs_nor_strange_pictures_in_the_folder_are_overwritten(folder, tiny_model, refuses):
    inputs = [folder / "dist" / "b.png", folder / "dist" / "c.png"]
    before = [path.read_bytes() for path in inputs]
    ref = folder / "ref" / "b.png"
    arguments = (ref, *inputs, "--attack", "fgsm", "-o")
    refuses("is one of the pictures to be attacked", *_attack(*arguments, folder / "dist", metric=tiny_model))
    assert [path.read_bytes() for path in inputs] == before
    (folder / "mine").mkdir()
    (folder / "mine" / "c.png").write_bytes(b"precious")
    refuses("of no earlier run", *_attack(*arguments, folder / "mine", metric=tiny_model))
    assert (folder / "mine" / "c.png").read_bytes() == b"precious"


def test_the_table_of_a_broken_run_holds_what_is_done(cli, folder, tiny_model, monkeypatch):
    out, save = folder / "attacked", files.attack_file
    arguments = _attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model)

    def breaks_off(attack, target, pair, *rest):
        if pair.dist.stem == "c":
            raise KeyboardInterrupt
        return save(attack, target, pair, *rest)

    monkeypatch.setattr(files, "attack_file", breaks_off)
    cli(*arguments)
    with (out / "attack.csv").open() as file:
        assert [row["attacked"][-5:] for row in csv.DictReader(file)] == ["a.png", "b.png"]
    monkeypatch.setattr(files, "attack_file", save)
    monkeypatch.chdir(folder)
    # The same folder, spelled otherwise.
    assert (
        cli(*_attack("ref", "dist", "-o", "attacked", "--attack", "fgsm", "--json", metric=tiny_model)).code
        == 0
    )
    with (out / "attack.csv").open() as file:
        assert [row["attacked"] for row in csv.DictReader(file)] == [f"attacked/{n}.png" for n in "abc"]
    assert len(json.loads((out / "attack.json").read_text())["outcomes"]) == 3


def test_a_score_that_is_no_number_is_told_by_the_exit_code(cli, folder, monkeypatch):
    (folder / "no_number.py").write_text(
        "def score(dist, ref):\n    return float('nan') * dist.mean((1, 2, 3))\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    pair = (folder / "ref" / "a.png", folder / "dist" / "a.webp")
    answer = cli(
        *_attack(*pair, "-o", folder / "adv.png", "--attack", "fgsm", metric="python:no_number:score")
    )
    assert answer.code == 2
    assert "not finite" in answer.complaint


def test_a_bad_file_is_reported_and_the_rest_goes_on(cli, folder, tiny_model):
    (folder / "dist" / "b.png").write_bytes(b"no picture")
    out = folder / "attacked"
    answer = cli(*_attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model))
    assert answer.code == 2
    assert "b.png" in answer.complaint
    assert sorted(path.name for path in out.glob("*.png")) == ["a.png", "c.png"]
    assert not list(out.glob(".*"))


def test_a_picture_without_partner_is_told(cli, folder, tiny_model):
    (folder / "ref" / "c.png").unlink()
    out = folder / "attacked"
    answer = cli(*_attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model))
    assert answer.code == 2
    assert "c.png has no partner" in answer.complaint
    assert sorted(path.name for path in out.glob("*.png")) == ["a.png", "b.png"]


def test_equal_names_from_several_folders_are_told_apart(cli, folder, tiny_model):
    (folder / "more").mkdir()
    Image.open(folder / "dist" / "b.png").save(folder / "more" / "a.png")
    ref, out = folder / "ref" / "a.png", folder / "attacked"
    inputs = (folder / "dist" / "a.webp", folder / "more" / "a.png")
    assert cli(*_attack(ref, *inputs, "-o", out, "--attack", "fgsm", metric=tiny_model)).code == 0
    assert sorted(path.name for path in out.glob("*.png")) == ["a.png", "a_2.png"]


def test_a_trained_attack_learns_from_other_pictures(cli, folder, tiny_model, refuses):
    ref, dist, out = folder / "ref" / "a.png", folder / "dist" / "a.webp", folder / "adv.png"
    arguments = _attack(ref, dist, "-o", out, "--attack", "uap", metric=tiny_model)
    refuses("uap is trained on other pictures first", *arguments)
    big = folder / "big"
    big.mkdir()
    for side in ("ref", "dist"):
        Image.open(folder / side / "b.png").resize((256, 256)).save(big / f"{side}.png")
    (big / "pairs.csv").write_text("ref,dist\nref.png,dist.png\n")
    options = "--train-pairs", big / "pairs.csv", "--train-steps", 3
    answer = cli(*arguments, *options, "--json")
    assert answer.code == 0
    (outcome,) = json.loads(answer.out)["outcomes"]
    assert outcome["after"] != outcome["before"]


def test_an_attack_trained_on_other_pictures_is_another_run(cli, folder, tiny_model):
    for side in ("ref", "dist"):
        Image.open(folder / side / "b.png").resize((256, 256)).save(folder / f"big-{side}.png")
    (folder / "pairs.csv").write_text("ref,dist\nbig-ref.png,big-dist.png\n")
    options = "--attack", "uap", "--train-pairs", folder / "pairs.csv", "--train-steps", 1
    arguments = _attack(folder / "ref", folder / "dist", "-o", folder / "out", *options, metric=tiny_model)
    first, again = (cli(*arguments) for _ in range(2))
    assert (first.code, again.code) == (0, 0)
    assert again.out == first.out
    # What is done needs no training.
    assert first.err.count("training uap to push scores up") == 1
    assert "training" not in again.err
    Image.new("RGB", (256, 256)).save(folder / "big-dist.png")
    answer = cli(*arguments)
    assert answer.code == 2
    assert "holds an attack with other settings" in answer.err


def test_refusals(folder, tiny_model, refuses):
    ref, dist, out = folder / "ref" / "a.png", folder / "dist" / "a.webp", folder / "adv.png"
    some = (ref, dist, "-o", out)
    refuses("no attack 'magic'", *_attack(*some, "--attack", "magic", metric=tiny_model))
    refuses(
        "fgsm has no setting 'steps'",
        *_attack(*some, "--attack", "fgsm", "--set", "steps=3", metric=tiny_model),
    )
    refuses("--seed sets it", *_attack(*some, "--set", "seed=5", metric=tiny_model))
    refuses("always 8-bit", *_attack(*some, "--set", "eight_bit=false", metric=tiny_model))
    refuses("seed=100000000000000000000 should", *_attack(*some, "--seed", 10**20, metric=tiny_model))
    refuses("device='banana' cannot be used", *_attack(*some, "--device", "banana", metric=tiny_model))
    refuses("write NAME=NUMBER", *_attack(*some, "--set", "steps", metric=tiny_model))
    refuses("write a number as 8/255", *_attack(*some, "--budget", "eight", metric=tiny_model))
    for limit in ("8", "0", "nan", "inf", "-1/255"):
        refuses("should be in (0, 1]: 8/255, not 8", *_attack(*some, f"--budget={limit}", metric=tiny_model))
    refuses("pgd: steps=-1 should be at least 1", *_attack(*some, "--set", "steps=-1", metric=tiny_model))
    refuses(
        "name the attacked picture .png", *_attack(ref, dist, "-o", folder / "adv.jpg", metric=tiny_model)
    )
    assert not out.exists()


def test_a_run_never_refuses_what_it_left_itself(cli, folder, tiny_model, monkeypatch):
    out = folder / "attacked"
    arguments = _attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model)
    record = out / "attack.json"
    assert cli(*arguments).code == 0
    # One that can no longer be attacked leaves nothing of its former self.
    kept = (folder / "dist" / "b.png").read_bytes()
    (folder / "dist" / "b.png").write_bytes(b"no picture")
    (folder / "dist" / "c.png").write_bytes(kept)
    assert cli(*arguments).code == 2
    assert not (out / "b.png").exists()
    (folder / "dist" / "b.png").write_bytes(kept)

    # Killed between a picture and its record.
    def killed(*_):
        raise KeyboardInterrupt

    before = record.read_bytes()
    replaced, calls = files.replacing, []

    def breaks_off(path):
        calls.append(path.name)
        return killed() if calls.count("attack.json") == 2 else replaced(path)

    monkeypatch.setattr(files, "replacing", breaks_off)
    cli(*arguments)
    assert (out / "b.png").exists()
    assert "b.png" not in [one["attacked"][-5:] for one in json.loads(record.read_text())["outcomes"]]
    assert before != record.read_bytes()
    monkeypatch.setattr(files, "replacing", replaced)
    assert cli(*arguments).code == 0
    assert len(json.loads(record.read_text())["outcomes"]) == 3


def test_a_folder_of_another_attack_is_refused_before_anything_is_trained(cli, folder, tiny_model):
    pairs = folder / "pairs.csv"
    pairs.write_text("ref,dist\nref/a.png,dist/a.webp\n")
    out = folder / "attacked"
    first = _attack(folder / "ref", folder / "dist", "-o", out, "--attack", "fgsm", metric=tiny_model)
    assert cli(*first).code == 0
    more = "--attack", "uap", "--train-pairs", pairs, "--train-steps", 2
    answer = cli(*_attack(folder / "ref", folder / "dist", "-o", out, *more, metric=tiny_model))
    assert answer.code == 2
    assert "holds an attack with other settings" in answer.complaint
    assert "training" not in answer.err


def test_budgets_between_whole_levels_are_told(cli, folder, tiny_model):
    pair = (folder / "ref" / "a.png", folder / "dist" / "a.webp")
    for budget, least in (("1.9/255", 1), ("2.5/255", 2), ("2/255", None), ("0.0313725490196", None)):
        answer = cli(
            *_attack(
                *pair, "-o", folder / "adv.png", "--attack", "fgsm", "--budget", budget, metric=tiny_model
            )
        )
        told = f"8-bit pictures move by whole grey levels, so within {budget} by {least} at most"
        assert (told in answer.err) == (least is not None)
        assert answer.err.count("whole grey levels") == (least is not None)
    answer = cli(*_attack(*pair, "-o", folder / "none.png", "--budget", "0.9/255", metric=tiny_model))
    assert answer.code == 2
    assert "so within 0.9/255 not at all: give 1/255 or more" in answer.complaint
    assert not (folder / "none.png").exists()
