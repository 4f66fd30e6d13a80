"""birqa train-blind and train-denoiser: from tables of pictures to weights that score, clean and certify."""

import json

import numpy as np
import pytest
from PIL import Image

import birqa
from birqa.certify.denoising import load_denoiser
from birqa.model import load_model

SCHEDULE = {"steps": 2, "warmup": 1, "checkpoint_every": 1}
BLIND = {
    "network": {"widths": [4, 6]},
    "training": {"batch": 4, "crop": 32, "hidden": 4},
    "schedule": SCHEDULE,
}
DENOISER = {
    "network": {"widths": [4, 6]},
    "training": {"batch": 4, "crop": 32, "rank_weight": 0, "target_weight": 0},
    "schedule": SCHEDULE,
}


@pytest.fixture
def tables(tmp_path, scenes):
    """rated.csv and damaged.csv, as `birqa data index` and `birqa data kadid` write them."""
    rated, damaged = ["image,mos,std,split"], ["ref,dist,mos,std,type,level,split"]
    for number, picture in enumerate(scenes):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        rated.append(f"{number}.png,{0.9 - number / 20:.2f},,{'test' if number % 4 == 3 else 'train'}")
    for number, picture in enumerate(scenes[:4]):
        for level in (1, 2):
            pixels = picture * (1 - 0.3 * level)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{number}-{level}.png")
            split = "test" if number == 3 else "train"
            damaged.append(f"{number}.png,{number}-{level}.png,{1 - level / 3:.3f},,dark,{level},{split}")
    (tmp_path / "rated.csv").write_text("\n".join(rated) + "\n")
    (tmp_path / "damaged.csv").write_text("\n".join(damaged) + "\n")
    return "--data", tmp_path / "rated.csv", "--damaged", tmp_path / "damaged.csv"


@pytest.fixture
def write(tmp_path):
    def to(name, content):
        (tmp_path / name).write_text(json.dumps(content))
        return tmp_path / name

    return to


def steps_of(answer):
    entries = [json.loads(line) for line in answer.out.splitlines()]
    return [entry["step"] for entry in entries if "step" in entry]


def test_a_metric_is_trained_that_scores(cli, tables, write, tmp_path):
    recipe, card = write("recipe.json", BLIND), write("card.json", {"summary": "mine", "data": "is measured"})
    out = tmp_path / "run"
    arguments = (
        "train-blind",
        *tables,
        "-o",
        out,
        "--recipe",
        recipe,
        "--card",
        card,
        "--name",
        "blind.mine",
    )
    answer = cli(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert steps_of(answer) == [1, 2]
    last = json.loads(answer.out.splitlines()[-1])
    assert last["model"] == str(out / "model")
    assert last["pictures"] == 4
    model = load_model(out / "model")
    assert (model.name, model.version, model.kind) == ("blind.mine", "1", "no-reference")
    assert (model.config.widths, model.config.supports) == ((4, 6), 12)
    assert model.card["summary"] == "mine"
    assert model.card["data"] == {"damaged pictures": 6, "rated pictures": 12}
    assert model.card["training"]["training"]["hidden"] == 4
    assert model.card["validation"] == {name: last[name] for name in ("pictures", "srocc", "plcc")}

    scored = {}
    for engine in ("onnx", "torch"):
        pictures = [tmp_path / f"{number}.png" for number in (0, 15)]
        row = cli("blind", *pictures, "--metric", out / "model", "--engine", engine, "--json")
        assert (row.code, row.err) == (0, "")
        scored[engine] = [one["score"] for one in json.loads(row.out)]
    assert scored["onnx"] == pytest.approx(scored["torch"], abs=1e-4)
    assert scored["onnx"][0] > scored["onnx"][1]

    first = model.sha256
    again = cli(*arguments)
    assert (again.code, steps_of(again)) == (0, [])
    assert load_model(out / "model").sha256 == first


def test_a_metric_without_a_network_remembers_damaged_pictures(cli, tables, write, tmp_path):
    recipe = write("recipe.json", {"training": {"damaged": 4}})
    answer = cli("train-blind", *tables, "-o", tmp_path / "run", "--recipe", recipe)
    assert (answer.code, answer.err, steps_of(answer)) == (0, "", [])
    model = load_model(tmp_path / "run/model")
    assert model.card["data"] == {"damaged pictures": 4, "rated pictures": 12}
    assert model.card["training"]["training"]["damaged"] == 4
    assert 12 + 4 < model.config.supports <= 12 + 4 + 3


def test_a_metric_without_a_network_is_fitted_from_ratings_alone(cli, tables, tmp_path):
    arguments = ("train-blind", *tables[:2], "-o", tmp_path / "run", "--name", "blind.mine")
    answer = cli(*arguments)
    assert (answer.code, answer.err, steps_of(answer)) == (0, "", [])
    model = load_model(tmp_path / "run/model")
    assert (model.config.widths, model.config.supports) == ((), 12)
    assert model.card["data"] == {"rated pictures": 12}
    pictures = [tmp_path / f"{number}.png" for number in (0, 15)]
    row = cli("blind", *pictures, "--metric", tmp_path / "run/model", "--json")
    good, bad = (one["score"] for one in json.loads(row.out))
    assert good > bad
    first = model.sha256["weights.safetensors"]
    assert cli(*arguments).code == 0
    assert load_model(tmp_path / "run/model").sha256["weights.safetensors"] == first


def test_a_metric_for_noisy_pictures_certifies_and_scores_nothing_else(
    cli, refuses, tables, write, tmp_path, denoiser_model
):
    recipe = write("recipe.json", {"network": {"noise": [0.1, 0.2], "denoiser": str(denoiser_model)}})
    answer = cli("train-blind", *tables[:2], "-o", tmp_path / "run", "--recipe", recipe)
    assert (answer.code, answer.err) == (0, "")
    last = json.loads(answer.out)
    assert set(last) == {"pictures", "sigma 0.1", "sigma 0.2", "model"}
    model, denoiser = load_model(tmp_path / "run/model"), load_model(denoiser_model)
    assert (model.config.noise, model.config.supports) == ((0.1, 0.2), 24)
    assert model.card["data"] == {"rated pictures": 12}
    assert model.card["training"]["denoiser"] == denoiser.label

    picture = tmp_path / "0.png"
    message = "blind.custom is fitted to noisy pictures: use it with birqa certify"
    refuses(message, "blind", picture, "--metric", model.folder)
    made = tmp_path / "cert.json"
    certified = cli(
        "certify", picture, "--metric", model.folder, "--samples", 20, "--radius", 0.01, "-o", made
    )
    assert certified.code == 0, certified.err
    assert "agree less with people" not in certified.err
    assert json.loads(made.read_text())["denoiser"]["sha256"] == denoiser.digest


def test_a_network_needs_damaged_pictures_to_learn_from(refuses, tables, write, tmp_path):
    use = ("train-blind", "-o", tmp_path / "run", *tables[:2], "--recipe", write("recipe.json", BLIND))
    refuses("is missing: a network (widths) learns from damaged pictures", *use)
    none = tmp_path / "none.csv"
    none.write_text("ref,dist,mos,type,level,split\n0.png,0-1.png,0.5,dark,1,test\n")
    refuses("has no rows with split train", *use, "--damaged", none)
    assert not (tmp_path / "run/model").exists()


def test_a_denoiser_is_trained_for_the_metric(cli, tables, write, tmp_path, blind_model):
    weights = {"rank_weight": 0.1, "target_weight": 0.2}
    recipe = write("recipe.json", DENOISER | {"training": DENOISER["training"] | weights})
    out = tmp_path / "run"
    arguments = ("train-denoiser", *tables[:2], "-o", out, "--recipe", recipe, "--metric", blind_model)
    answer = cli(*arguments, "--name", "denoiser.mine", "--version", "3")
    assert (answer.code, answer.err) == (0, "")
    assert steps_of(answer) == [1, 2]
    assert json.loads(answer.out.splitlines()[-1]) == {"model": str(out / "model")}
    model = load_model(out / "model")
    assert (model.name, model.version, model.kind) == ("denoiser.mine", "3", "denoiser")
    assert model.card["data"] == {"pictures": 12}
    metric = load_model(blind_model)
    assert model.card["training"]["metric"] == f"blind.tiny 7 {metric.fingerprint}"
    assert model.card["training"]["from"] == "random weights"
    assert {"mse", "order", "target"} < set(model.card["last figures"])
    noisy = np.random.default_rng(0).normal(0.5, 0.2, (1, 3, 33, 50)).astype(np.float32)
    one, other = (load_denoiser(out / "model", engine=engine)(noisy) for engine in ("onnx", "torch"))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_a_denoiser_is_trained_for_anybodys_metric(cli, refuses, tables, write, tmp_path, monkeypatch):
    (tmp_path / "my_scores.py").write_text(
        "def mean(pictures):\n    return pictures.mean((1, 2, 3))\n"
        "def one(pictures):\n    return pictures.mean()\n"
        "def detached(pictures):\n    return pictures.detach().mean((1, 2, 3))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    weights = {"rank_weight": 0.1, "target_weight": 0.2}
    recipe = write("recipe.json", DENOISER | {"training": DENOISER["training"] | weights})
    arguments = ("train-denoiser", *tables[:2], "--recipe", recipe, "-o")
    answer = cli(*arguments, tmp_path / "run", "--metric", "python:my_scores:mean", "--device", "cpu")
    assert (answer.code, answer.err) == (0, "")
    model = load_model(tmp_path / "run/model")
    assert model.card["training"]["metric"] == "python:my_scores:mean"
    assert model.card["last figures"]["target"] > 0
    assert cli(*arguments, tmp_path / "turned", "--metric", "-python:my_scores:mean").code == 0
    turned = load_model(tmp_path / "turned/model").card
    assert turned["training"]["metric"] == "-python:my_scores:mean"
    assert turned["last figures"]["order"] != pytest.approx(model.card["last figures"]["order"], rel=0.05)
    falling = lambda pictures: -pictures.mean((1, 2, 3))  # noqa: E731
    falling.lower_better = True
    monkeypatch.setattr("birqa.evaluation.peers.pyiqa_loss", lambda name, device: falling)
    monkeypatch.setattr("birqa.evaluation.peers.fingerprint", lambda spec: "1.0")
    assert cli(*arguments, tmp_path / "pyiqa", "--metric", "pyiqa:falling", "--device", "cpu").code == 0
    figures = load_model(tmp_path / "pyiqa/model").card["last figures"]
    same = {"seconds_per_step": model.card["last figures"]["seconds_per_step"]}
    assert figures | same == model.card["last figures"]
    message = "which way blind.clive counts is known, so leave the - out"
    refuses(message, *arguments, tmp_path / "minus", "--metric", "-blind.clive")
    message = "should give a tensor of 4 scores, one a picture"
    refuses(message, *arguments, tmp_path / "other", "--metric", "python:my_scores:one")
    message = (
        "scores carry no gradient (detached, or made outside torch): give a metric that is differentiable"
    )
    refuses(message, *arguments, tmp_path / "flat", "--metric", "python:my_scores:detached")


def test_without_a_recipe_order_and_scores_are_asked_of_the_metric(cli, tables, tmp_path, monkeypatch):
    (tmp_path / "my_scores.py").write_text("def mean(pictures):\n    return pictures.mean((1, 2, 3))\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = tmp_path / "crop.json"
    recipe.write_text('{"training": {"batch": 4, "crop": 32}}')
    arguments = "train-denoiser", *tables[:2], "-o", tmp_path / "run", "--recipe", recipe, "--steps", 1
    assert cli(*arguments, "--metric", "python:my_scores:mean").code == 0
    card = load_model(tmp_path / "run/model").card
    assert card["training"]["metric"] == "python:my_scores:mean"
    assert {"order", "target"} < set(card["last figures"])


def test_a_denoiser_goes_on_from_another_without_a_metric(cli, tables, write, tmp_path, denoiser_model):
    recipe = write("recipe.json", {"training": DENOISER["training"], "schedule": SCHEDULE})
    out = tmp_path / "run"
    arguments = "train-denoiser", *tables[:2], "-o", out, "--recipe", recipe, "--from", denoiser_model
    answer = cli(*arguments, "--steps", 1)
    assert (answer.code, answer.err) == (0, "")
    before, after = load_model(denoiser_model), load_model(out / "model")
    assert after.config.widths == before.config.widths
    assert after.card["training"]["metric"] == "none"
    assert after.card["training"]["from"] == f"denoiser.tiny 7 {before.fingerprint}"
    assert after.card["training"]["schedule"]["steps"] == 1
    moved = [np.abs(after.tensors[name] - value).max() for name, value in before.tensors.items()]
    # One step of Adam at a rate of 1e-3.
    assert 0 < max(moved) < 2e-3


def test_mistakes_are_one_sentence(refuses, tables, write, tmp_path, tiny_model, blind_model):
    out = "-o", tmp_path / "run"
    blind, denoiser = ("train-blind", *tables, *out), ("train-denoiser", *tables[:2], *out)
    for command in (blind, denoiser):
        refuses("there is no part 'data'", *command, "--recipe", write("r.json", {"data": {}}))
        refuses(
            "steps=0 should be at least 1", *command, "--recipe", write("r.json", {"schedule": {"steps": 0}})
        )
        refuses("gone.json", *command, "--recipe", tmp_path / "gone.json")
        refuses("a JSON object is needed", *command, "--card", write("card.json", [1]))
        refuses("--steps", *command, "--steps", 0)
    asked = write("asked.json", {"training": {"rank_weight": 1.0}})
    refuses("birqa.tiny compares pictures", *denoiser, "--recipe", asked, "--metric", tiny_model)
    refuses("blind.tiny scores single pictures", *denoiser, "--from", blind_model)
    pairs = tmp_path / "damaged.csv"
    refuses("the columns image and mos are needed", "train-denoiser", "--data", pairs, *out)
    refuses("the columns image and mos are needed", "train-blind", "--data", pairs, "--damaged", pairs, *out)
    bare = tmp_path / "bare.csv"
    bare.write_text("ref,dist,mos\n0.png,0-1.png,0.5\n")
    with_network = "--recipe", write("blind.json", BLIND)
    refuses("must have a type and a level", "train-blind", *tables[:3], bare, *out, *with_network)
    assert not (tmp_path / "run" / "model").exists()


def test_ratings_of_another_scale_are_refused_before_anything_is_trained(refuses, tables, tmp_path):
    table = tmp_path / "rated.csv"
    table.write_text("image,mos\n" + "".join(f"{number}.png,{50 + number}\n" for number in range(12)))
    for command, rest in (("train-blind", tables), ("train-denoiser", tables[:2])):
        refuses("12 ratings are outside 0..1, for example 50", command, *rest, "-o", tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_what_was_trained_certifies(cli, tables, write, tmp_path):
    """The whole way: train both, certify, verify, on either engine."""
    recipes = write("blind.json", BLIND), write("denoiser.json", DENOISER)
    assert cli("train-blind", *tables, "-o", tmp_path / "m", "--recipe", recipes[0]).code == 0
    assert cli("train-denoiser", *tables[:2], "-o", tmp_path / "d", "--recipe", recipes[1]).code == 0
    use = "--metric", tmp_path / "m/model", "--denoiser", tmp_path / "d/model", "--threads", 1
    photo, certificate = tmp_path / "5.png", tmp_path / "c.json"
    settings = "--samples", 100, "--confidence", 0.9, "--sigma", 0.1, "--radius", 0.02
    made = cli("certify", photo, *settings, *use, "-o", certificate)
    assert (made.code, made.err) == (0, "")
    assert "blind.custom" in made.out
    assert "denoiser.custom" in made.out
    for engine in ("onnx", "torch"):
        checked = cli("verify", certificate, photo, *use, "--engine", engine, "--redraw", 10)
        assert checked.code == 0, checked
        assert "10 of 100 draws came out again" in checked.out
    other = cli("verify", certificate, tmp_path / "6.png", *use)
    assert other.code == 1
    assert "refused" in other.err
    assert birqa.create_metric(tmp_path / "m/model").info.name == "blind.custom"


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([f"{number}.png,0.{number}" for number in range(1, 8)], "7 rated pictures outside split test"),
        ([f"{number}.png,0.5" for number in range(12)], "1 different ratings"),
        (
            [f"{number}.png,0.{number + 10}" for number in range(11)] + ["gone.png,0.3"],
            "gone.png does not exist",
        ),
    ],
)
def test_rated_pictures_are_looked_at_before_anything_is_trained(refuses, tables, tmp_path, rows, complaint):
    (tmp_path / "rated.csv").write_text("\n".join(["image,mos", *rows]) + "\n")
    refuses(complaint, "train-blind", *tables, "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()
