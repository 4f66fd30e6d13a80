"""birqa data and birqa train, on pictures small enough to take seconds."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import birqa
from birqa.data import synthesis
from birqa.data.distortions import KADID10K, LEVELS, TID2013_EXACT
from birqa.model import load_model
from birqa.registry import find_model

TINY = {
    "network": {"widths": [8, 8], "blocks": [0, 0], "head_width": 4, "head_hidden": 4},
    "steps": 2,
    "batch": 4,
    "references_per_batch": 2,
    "crop": 32,
    "validate_every": 2,
    "identity_mos": 5,
}


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def originals(tmp_path, photographs):
    folder = tmp_path / "originals"
    folder.mkdir()
    for name, picture in zip("xy", photographs, strict=False):
        Image.fromarray(picture[:36, :40]).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def kadid_ratings(tmp_path):
    path = tmp_path / "kadid.csv"
    rows = [f"1,{kind},{level},{1 - level / 10 - kind / 100}" for kind in KADID10K for level in LEVELS]
    path.write_text("\n".join(["ref,type,level,quality", *rows]))
    return path


def test_kadid_makes_the_pairs_that_its_table_lists(cli, tmp_path, originals, kadid_ratings):
    out = tmp_path / "out"
    (tmp_path / "splits.csv").write_text("file,split\ny.png,test\n")
    answer = cli(
        *("data", "kadid", originals, "-o", out, "--ratings", kadid_ratings),
        *("--manifest", tmp_path / "splits.csv", "--format", "bmp", "--workers", 1),
    )
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith(f"{out / 'meta.csv'}: 1 photographs, 125 pairs\n")
    rows = rows_of(out / "meta.csv")
    assert len(rows) == 125
    for row in rows:
        assert (row["ref"], row["split"]) == ("ref/y.bmp", "test")
        assert float(row["mos"]) == pytest.approx(1 - int(row["level"]) / 10 - int(row["type"]) / 100)
        with Image.open(out / row["dist"]) as picture:
            assert (picture.format, picture.size) == ("BMP", (40, 36))
    np.testing.assert_array_equal(birqa.load_image(out / "ref/y.bmp"), birqa.load_image(originals / "y.png"))


def test_kadid_takes_one_split_of_the_manifest_and_no_more_than_the_limit(
    cli, tmp_path, originals, kadid_ratings
):
    manifest = tmp_path / "splits.csv"
    manifest.write_text("file,split\ny.png,train\nx.png,train\nabsent.png,test\n")
    arguments = "data", "kadid", originals, "-o", tmp_path / "out", "--ratings", kadid_ratings
    options = "--manifest", manifest, "--split", "train", "--limit", 1, "--workers", 1
    assert cli(*arguments, *options).code == 0
    rows = rows_of(tmp_path / "out/meta.csv")
    assert len(rows) == 125
    assert {(row["ref"], row["split"]) for row in rows} == {("ref/x.png", "train")}


def test_kadid_refuses_what_it_cannot_use(refuses, tmp_path, originals, kadid_ratings):
    arguments = "data", "kadid"
    rest = "-o", tmp_path / "out", "--ratings"
    refuses("nowhere", *arguments, tmp_path / "nowhere", *rest, kadid_ratings)
    refuses("absent.csv not found", *arguments, originals, *rest, tmp_path / "absent.csv")
    (tmp_path / "empty").mkdir()
    refuses("no reference photographs", *arguments, tmp_path / "empty", *rest, kadid_ratings)
    (tmp_path / "short.csv").write_text("ref,type,level,quality\n1,1,1,0.5\n")
    refuses("no rating for type 1, level 2", *arguments, originals, *rest, tmp_path / "short.csv")
    (tmp_path / "list.csv").write_text("name\nx.png\n")
    listed = *arguments, originals, *rest, kadid_ratings, "--manifest", tmp_path / "list.csv"
    refuses(f"{tmp_path / 'list.csv'}", *listed)
    (tmp_path / "list.csv").write_text("file,split\nx.png\n")
    refuses("list.csv, line 2", *listed)
    (tmp_path / "list.csv").write_text('file,split\n"' + "x.png,train\n" * 20_000)
    refuses("list.csv is no readable CSV", *listed)
    (originals / "x.png").write_bytes((originals / "x.png").read_bytes()[:500])
    refuses("x.png", *arguments, originals, *rest, kadid_ratings, "--workers", 1)
    assert not (tmp_path / "out" / "meta.csv").exists()


def test_two_rated_sets_become_one_table(cli, refuses, tmp_path):
    """The scale that `common-scale` prints is what `join` takes."""
    for name, scale in (("tid.csv", 9), ("kadid.csv", 1)):
        rows = [
            f"1,{kind},{level},{scale * (1 - level / 10)}" for kind in range(1, 26) for level in range(1, 6)
        ]
        (tmp_path / name).write_text("\n".join(["ref,type,level,quality", *rows]))
    for name, rating in (("one", 0.5), ("two", 4.5)):
        (tmp_path / f"{name}.csv").write_text(f"ref,dist,mos\n{name}.png,{name}-d.png,{rating}\n")
    found = cli("data", "common-scale", tmp_path / "tid.csv", tmp_path / "kadid.csv")
    assert (found.code, found.err) == (0, "")
    told = json.loads(cli("data", "common-scale", tmp_path / "tid.csv", tmp_path / "kadid.csv", "--json").out)
    worst, best = map(float, found.out.split())
    assert (worst, best) == pytest.approx((told["worst"], told["best"]), abs=1e-4)
    assert len(told["points"]) == 11
    joined = tmp_path / "joined.csv"
    arguments = "data", "join", tmp_path / "one.csv", tmp_path / "two.csv", "-o", joined, "--share"
    answer = cli(*arguments, 0.25, "--mos-range", worst, best)
    assert (answer.code, answer.out.strip()) == (0, str(joined))
    first, second = rows_of(joined)
    assert float(second["mos"]) == pytest.approx((4.5 - worst) / (best - worst), abs=1e-5)
    assert float(second["weight"]) / float(first["weight"]) == pytest.approx(1 / 3, abs=1e-5)
    refuses("share=2 should be between 0 and 1", *arguments, 2)
    refuses("one.csv lacks the column", "data", "common-scale", tmp_path / "one.csv", tmp_path / "kadid.csv")


def test_tid2013_makes_every_exact_type_of_its_references(cli, tmp_path, originals, monkeypatch):
    monkeypatch.setattr(synthesis, "TID2013_CROPS", ((3, 2),))
    monkeypatch.setattr(synthesis, "TID2013_CROP_SIZE", (32, 32))
    (originals / "x.png").rename(originals / "kodim01.png")
    ratings = tmp_path / "tid.csv"
    rows = [f"1,{kind},{level},{kind + level / 10}" for kind in TID2013_EXACT for level in LEVELS]
    ratings.write_text("\n".join(["ref,type,level,quality", *rows]))
    out = tmp_path / "out"
    answer = cli("data", "tid2013", originals, "-o", out, "--ratings", ratings, "--workers", 1)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == str(out / "meta.csv")
    rows = rows_of(out / "meta.csv")
    assert len(rows) == 5 * len(TID2013_EXACT)
    for row in rows:
        assert float(row["mos"]) == pytest.approx(int(row["type"]) + int(row["level"]) / 10)
        assert row["split"] == "test"
        assert Image.open(out / row["dist"]).size == (32, 32)


def test_tid2013_refuses_an_incomplete_folder(refuses, tmp_path, originals):
    (tmp_path / "tid.csv").write_text("ref,type,level,quality\n")
    refuses(
        "has no kodim01",
        "data",
        "tid2013",
        originals,
        "-o",
        tmp_path / "out",
        "--ratings",
        tmp_path / "tid.csv",
    )


def test_varied_makes_so_many_unrated_pictures_of_each_photograph(cli, tmp_path, originals):
    out = tmp_path / "out"
    answer = cli("data", "varied", originals, "-o", out, "--count", 3, "--workers", 1)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith(f"{out / 'meta.csv'}: 2 photographs, 6 pairs\n")
    rows = rows_of(out / "meta.csv")
    assert len(rows) == 6
    for row in rows:
        assert row["mos"] == ""
        assert Image.open(out / row["dist"]).size == Image.open(out / row["ref"]).size


# Scores from nowhere: the metrics themselves are tested elsewhere and need larger pictures.
@pytest.fixture
def remade(tmp_path, monkeypatch):
    """meta.csv as `birqa data tid2013` names its pictures, with the scores of each metric drawn at random."""
    lines = ["ref,dist,mos,type,level"]
    rng = np.random.default_rng(0)
    for kind in (1, 17):
        for level in LEVELS:
            lines.append(f"ref/kodim02.png,dist/kodim02_{kind:02d}_{level}.png,{rng.random()},{kind},{level}")
    (tmp_path / "meta.csv").write_text("\n".join(lines) + "\n")
    failing = {}

    def scores(pairs, peers, *rest, **named):
        return rng.random((len(pairs), len(peers))), failing

    monkeypatch.setattr("birqa.evaluation.scoring.score_by_peers", scores)
    return tmp_path / "meta.csv", failing


def test_faithfulness_sets_ten_metrics_beside_their_published_figures(cli, tmp_path, remade):
    (tmp_path / "FSIMc.txt").write_text("\n".join(map(str, np.random.default_rng(1).random(3000))))
    arguments = ("data", "faithfulness", remade[0], "--authors", tmp_path)
    record = json.loads(cli(*arguments, "--json").out)
    assert (record["pairs"], record["failed"], len(record["metrics"])) == (10, 0, 10)
    fsim = next(one for one in record["metrics"] if one["metric"] == "piq:fsim")
    assert fsim["published"] == 0.851
    assert set(fsim["real_by_type"]) == {"1", "17"}
    answer = cli(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.count("  published 0.") == 10
    assert answer.out.count("agreement") == 3
    assert "published figures are of all 24 types, these pairs of " in answer.out


def test_faithfulness_reports_a_broken_picture_and_goes_on(cli, remade):
    meta, failing = remade
    failing[3] = {0: "it is truncated"}
    answer = cli("data", "faithfulness", meta)
    assert answer.code == 2
    assert "kodim02_01_4.png" in answer.err
    assert "truncated" in answer.err
    assert "9 pairs" in answer.out


def test_faithfulness_on_pictures_of_which_none_can_be_scored_says_so(cli, remade):
    meta, failing = remade
    failing.update({pair: {0: "it is truncated"} for pair in range(10)})
    answer = cli("data", "faithfulness", meta)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.endswith(f"{meta}: none of the 10 pairs could be scored.\n")


def test_faithfulness_refuses_another_set_or_a_folder_without_values(refuses, tmp_path, remade):
    meta, _ = remade
    refuses("metrics_values", "data", "faithfulness", meta, "--authors", tmp_path)
    meta.write_text(meta.read_text().replace("kodim02.png", "photo.png"))
    refuses("birqa data tid2013", "data", "faithfulness", meta)


def test_the_help_of_index_says_which_command_takes_which_set(cli):
    told = " ".join(cli("data", "index", "--help").out.split())
    assert "(koniq10k, live-itw) for `birqa train-blind`" in told


# Training


@pytest.fixture
def rated(tmp_path, photographs, damage):
    """meta.csv: two references to train on and one to validate on, four pairs each."""
    lines = ["ref,dist,mos,split"]
    for index, picture in enumerate(photographs):
        Image.fromarray(picture).save(tmp_path / f"ref{index}.png")
        for level, sigma in enumerate((3, 10, 25, 50)):
            Image.fromarray(damage("noise", picture, sigma)).save(tmp_path / f"dist{index}_{level}.png")
            split = "val" if index == 2 else "train"
            lines.append(f"ref{index}.png,dist{index}_{level}.png,{4.5 - level},{split}")
    (tmp_path / "meta.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "meta.csv"


@pytest.fixture
def recipe(tmp_path):
    def write(**changes):
        path = tmp_path / "recipe.json"
        path.write_text(json.dumps(TINY | changes))
        return path

    return write


def test_training_gives_a_metric_that_scores(cli, tmp_path, rated, recipe):
    out = tmp_path / "run"
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"summary": "mine", "data": "is measured, not written"}))
    options = "--recipe", recipe(), "--name", "birqa.mine", "--seed", 5, "--card", card
    answer = cli("train", "--data", rated, "-o", out, *options)
    assert (answer.code, answer.err) == (0, "")
    assert json.loads(answer.out.splitlines()[-1]) == {"model": str(out / "model")}
    model = load_model(out / "model")
    assert (model.name, model.version) == ("birqa.mine", "1")
    assert model.config.widths == (8, 8)
    assert model.card["summary"] == "mine"
    assert model.card["data"] == {"pairs": 8, "references": 2}
    assert model.card["training"]["seed"] == 5
    assert -1 <= model.card["validation"]["srocc"] <= 1
    assert {"checkpoint.safetensors", "config.json", "curves.png", "model"} < {p.name for p in out.iterdir()}

    ref, dist = tmp_path / "ref0.png", tmp_path / "dist0_3.png"
    for engine in ("onnx", "torch"):
        scored = cli("score", ref, dist, ref, "--metric", out / "model", "--engine", engine, "--json")
        rows = json.loads(scored.out)
        assert [row["metric"] for row in rows] == ["birqa.mine"] * 2
        assert 0 < rows[0]["score"] < rows[1]["score"] == 1
    assert json.loads(cli("eval", rated, "--metric", out / "model", "--json").out)["pairs"] == 12


def test_training_twice_with_one_seed_gives_the_same_weights(cli, tmp_path, rated, recipe):
    for run in ("one", "two", "other"):
        seed = 2 if run == "other" else 1
        assert (
            cli("train", "--data", rated, "-o", tmp_path / run, "--recipe", recipe(), "--seed", seed).code
            == 0
        )
    one, two, other = (load_model(tmp_path / run / "model").sha256 for run in ("one", "two", "other"))
    assert one == two
    assert one["weights.safetensors"] != other["weights.safetensors"]
    assert one["network.onnx"] == other["network.onnx"]


def test_a_finished_run_goes_on_where_it_was(cli, tmp_path, rated, recipe):
    arguments = "train", "--data", rated, "-o", tmp_path / "run", "--recipe", recipe()
    first = cli(*arguments)
    record = tmp_path / "run" / "model" / "model.json"
    calibrated = json.loads(record.read_text()) | {"interval": "as `birqa calibrate` left it"}
    record.write_text(json.dumps(calibrated))
    again = cli(*arguments)
    assert json.loads(record.read_text()) == calibrated
    assert f"{tmp_path / 'run'} was finished before; its model is left as it is." in again.err
    assert [line for line in first.out.splitlines() if line.startswith('{"step"')]
    assert not [line for line in again.out.splitlines() if line.startswith('{"step"')]
    assert again.code == 0


def test_weights_that_are_chosen_on_test_rows_are_not_chosen_silently(cli, tmp_path, rated, recipe):
    rated.write_text(rated.read_text().replace(",val", ",test"))
    for keep, told in (("best", True), ("last", False)):
        answer = cli("train", "--data", rated, "-o", tmp_path / keep, "--recipe", recipe(keep=keep))
        assert answer.code == 0
        assert ("the weights are chosen on its test rows" in answer.err) == told


@pytest.mark.parametrize("count", [0, 1])
def test_training_with_too_few_held_out_pictures_to_correlate_works(cli, tmp_path, rated, recipe, count):
    lines = rated.read_text().splitlines()
    tested = [line for line in lines if line.endswith(",val")]
    rated.write_text("\n".join([*(line for line in lines if line not in tested), *tested[:count]]))
    assert cli("train", "--data", rated, "-o", tmp_path / "run", "--recipe", recipe()).code == 0
    assert load_model(tmp_path / "run/model").card["validation"] == {}


def test_fine_tuning_starts_from_the_shipped_weights(cli, tmp_path, rated):
    out = tmp_path / "run"
    options = "--from", "birqa", "--mos-range", 0, 4.5, "--steps", 1, "--batch", 2, "--crop", 64
    answer = cli("train", "--data", rated, "-o", out, *options)
    assert (answer.code, answer.err) == (0, "")
    shipped, tuned = find_model("birqa"), load_model(out / "model")
    assert tuned.config == shipped.config
    assert tuned.card["training"]["start"] == f"{shipped.name} {shipped.version} {shipped.fingerprint}"
    assert tuned.card["training"]["learning_rate"] == 1e-4
    moved = [np.abs(tuned.tensors[name] - value).max() for name, value in shipped.tensors.items()]
    # One step of Adam at the first step of the warm-up moves each weight by 2e-6, less than float16 can show.
    assert max(moved) < 2e-3


def test_ratings_of_any_scale_are_mapped_by_their_range(cli, refuses, tmp_path, rated, recipe):
    plain = "--data", rated, "--recipe", recipe(identity_mos=1)
    refuses("ratings must run from 0", "train", *plain, "-o", tmp_path / "plain")
    assert cli("train", *plain, "-o", tmp_path / "mapped", "--mos-range", 1.5, 4.5).code == 0
    # Larger is worse: the range turned round.
    header, *lines = rated.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    turned = [",".join([ref, dist, str(6 - float(mos)), split]) for ref, dist, mos, split in cells]
    rated.write_text("\n".join([header, *turned]))
    assert cli("train", *plain, "-o", tmp_path / "turned", "--mos-range", 4.5, 1.5).code == 0
    one, two = (load_model(tmp_path / run / "model").sha256 for run in ("mapped", "turned"))
    assert one == two
    refuses("must differ", "train", *plain, "-o", tmp_path / "none", "--mos-range", 2, 2)


def losses(folder):
    with (folder / "curves.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def run_python(*arguments):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def train_arguments(rated, out, recipe):
    return ["-m", "birqa", "train", "--data", str(rated), "-o", str(out), "--recipe", str(recipe)]


@pytest.mark.parametrize("order", [{}, {"order_weight": 20.0, "order_pairs": 2}], ids=["plain", "order"])
def test_two_processes_have_the_loss_of_one(tmp_path, rated, recipe, order):
    choices = recipe(steps=3, checkpoint_every=1, batch=4, **order)
    run_python(*train_arguments(rated, tmp_path / "one", choices))
    launcher = "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"
    run_python(*launcher, *train_arguments(rated, tmp_path / "two", choices))
    environment = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert environment["processes"] == 2
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 3
    assert two == pytest.approx(one, rel=1e-4)
    assert len(set(one)) == 3


def test_a_run_killed_at_any_moment_goes_on_from_its_last_interval(tmp_path, rated, recipe):
    choices = recipe(steps=12, checkpoint_every=1)
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, *train_arguments(rated, out, choices)], stdout=subprocess.PIPE, text=True
    )
    seen = [json.loads(process.stdout.readline())["step"] for _ in range(3)]
    process.kill()
    process.wait()
    assert seen == [1, 2, 3]
    rest = run_python(*train_arguments(rated, out, choices))
    steps = [json.loads(line).get("step") for line in rest.splitlines()][:-1]
    # What was reported was saved; what ran on before the kill may have been saved as well.
    assert steps[0] >= 4
    assert steps == list(range(steps[0], 13))
    assert not list(out.glob(".*"))
    run_python(*train_arguments(rated, tmp_path / "whole", choices))
    assert losses(out) == losses(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speed": 9}, "unknown fields of the training configuration: speed"),
        ({"network": {"wings": 2}}, "the network configuration has unknown fields: wings"),
        ({"network": {"widths": [9, 9], "blocks": [1, 1]}}, "must be multiples of 8"),
        ({"crop": 128}, "crop"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(refuses, tmp_path, rated, recipe, changes, message):
    refuses(message, "train", "--data", rated, "-o", tmp_path / "run", "--recipe", recipe(**changes))


@pytest.mark.parametrize("option", ["--recipe", "--card"])
@pytest.mark.parametrize("text", ["{", "[]", "3", None])
def test_a_damaged_recipe_or_card_is_refused_by_name_before_training(refuses, tmp_path, rated, option, text):
    path = tmp_path / "choices.json"
    if text is not None:
        path.write_text(text)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(TINY))
    options = [option, path] if option == "--recipe" else ["--recipe", recipe, option, path]
    refuses(str(path), "train", "--data", rated, "-o", tmp_path / "run", *options)
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_trained_on_is_refused(refuses, tmp_path, rated, recipe):
    run = "-o", tmp_path / "run", "--recipe", recipe()
    refuses("absent.csv", "train", "--data", tmp_path / "absent.csv", *run)
    text = rated.read_text()
    rated.write_text(text.replace(",train", ",test"))
    refuses("train", "train", "--data", rated, *run)
    rated.write_text(text.replace("dist0_1.png,3.5,train", "dist0_1.png,3.5,test"))
    refuses("is in the splits train and test", "train", "--data", rated, *run)


def test_ratings_far_above_the_identity_rating_are_refused(refuses, tmp_path, rated, recipe):
    """Capped at 1 they would all be equal, and the network would learn nothing, in silence."""
    run = "-o", tmp_path / "run", "--recipe", recipe(identity_mos=0.4)
    refuses("identity_mos", "train", "--data", rated, *run)
