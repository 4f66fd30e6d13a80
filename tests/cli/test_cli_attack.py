"""birqa attack: what it saves, what it says about it, resuming, and what it refuses."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import birqa


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
    answer = cli(*arguments, "--train-pairs", big / "pairs.csv", "--train-steps", 3, "--json")
    assert answer.code == 0
    (outcome,) = json.loads(answer.out)["outcomes"]
    assert outcome["after"] != outcome["before"]


def test_refusals(folder, tiny_model, refuses):
    ref, dist, out = folder / "ref" / "a.png", folder / "dist" / "a.webp", folder / "adv.png"
    some = (ref, dist, "-o", out)
    refuses("no attack 'magic'", *_attack(*some, "--attack", "magic", metric=tiny_model))
    refuses(
        "fgsm has no setting 'steps'",
        *_attack(*some, "--attack", "fgsm", "--set", "steps=3", metric=tiny_model),
    )
    refuses("write NAME=NUMBER", *_attack(*some, "--set", "steps", metric=tiny_model))
    refuses("write a number as 8/255", *_attack(*some, "--budget", "eight", metric=tiny_model))
    refuses(
        "name the attacked picture .png", *_attack(ref, dist, "-o", folder / "adv.jpg", metric=tiny_model)
    )
    assert not out.exists()
