"""Recipes in parts, and cards: what a file may change, and what is refused."""

import json
import math
from dataclasses import replace

import pytest

from birqa.blind.config import BlindConfig
from birqa.training.blind import BlindRecipe
from birqa.training.denoiser import DenoiserRecipe
from birqa.training.recipes import read_card, read_parts


@pytest.fixture
def write(tmp_path):
    def to(content):
        path = tmp_path / "recipe.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return to


def test_a_file_changes_what_it_names_and_nothing_else(write):
    defaults = BlindRecipe()
    path = write({"network": {"widths": [4, 6]}, "training": {"batch": 3, "mse_weight": 2}})
    recipe = read_parts(path, defaults)
    assert recipe.network == replace(defaults.network, widths=(4, 6))
    assert recipe.training == replace(defaults.training, batch=3, mse_weight=2)
    assert recipe.schedule == defaults.schedule


def test_a_file_may_ask_for_no_network(write):
    with_network = replace(BlindRecipe(), network=BlindConfig(widths=(4, 6)))
    recipe = read_parts(write({"network": {"widths": []}}), with_network)
    assert recipe == BlindRecipe()
    assert recipe.network.widths == ()


def test_steps_go_over_the_file(write):
    path = write({"schedule": {"steps": 7, "threads": 1}})
    assert read_parts(path, DenoiserRecipe()).schedule.steps == 7
    assert read_parts(path, DenoiserRecipe(), steps=3).schedule == replace(
        DenoiserRecipe().schedule, steps=3, threads=1
    )
    assert read_parts(None, DenoiserRecipe(), steps=3).schedule.steps == 3
    assert read_parts(None, DenoiserRecipe()) == DenoiserRecipe()


@pytest.mark.parametrize(
    "defaults", [BlindRecipe(), BlindRecipe(network=BlindConfig(widths=(4, 6))), DenoiserRecipe()]
)
def test_what_is_written_to_a_card_is_read_back(write, defaults):
    assert read_parts(write(defaults.to_dict()), defaults) == defaults


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "a JSON object is needed"),
        ({"data": {}}, "there is no part 'data'; use network, training and schedule"),
        ({"network": 3}, "part 'network' should be a JSON object"),
        ({"schedule": [1]}, "part 'schedule' should be a JSON object"),
        ({"training": {"depth": 3}}, "training has no field 'depth'; it has batch, crop"),
        ({"network": {"groups": [3]}}, "network has no field 'groups'"),
        ({"training": {"batch": "many"}}, "training.batch='many' should be like 32"),
        ({"training": {"batch": 1.5}}, "training.batch=1.5 should be like 32"),
        ({"network": {"widths": 24}}, r"network.widths=24 should be like \(\)"),
        ({"network": {"widths": "wide"}}, "network.widths='wide' should be like"),
        ({"network": {"widths": ["wide", 24]}}, r"network.widths=\['wide', 24\] should be numbers"),
        ({"network": {"widths": [24]}}, r"widths=\(24,\) should be none or at least two numbers"),
        ({"network": {"widths": [16.5, 32]}}, r"widths=\(16.5, 32\) should be none or at least two numbers"),
        ({"network": {"widths": [True, 8]}}, r"network.widths=\[True, 8\] should be numbers"),
        ({"network": {"noise": [math.nan]}}, r"network.noise=\[nan\] should be numbers"),
        ({"training": {"batch": True}}, "training.batch=True should be like 32"),
        ({"training": {"crop": 0}}, "crop=0 should be at least 1"),
        ({"schedule": {"steps": 0}}, "steps=0 should be at least 1"),
        ({"schedule": {"checkpoint_every": 0}}, "checkpoint_every=0 should be at least 1"),
    ],
)
def test_mistakes_are_one_sentence(write, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_parts(write(content), BlindRecipe())
    assert "\n" not in str(caught.value)


def test_a_card_is_any_object(write):
    assert read_card(None) == {}
    assert read_card(write({"summary": "mine"})) == {"summary": "mine"}
    with pytest.raises(ValueError, match="a JSON object is needed"):
        read_card(write("3"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"training": {"batch": 0}}, "batch=0 should be at least 1"),
        ({"schedule": {"learning_rate": -1e-3}}, "learning_rate=-0.001 should be above 0"),
        ({"schedule": {"warmup": -1}}, "warmup=-1 should be at least 0"),
        ({"schedule": {"gradient_clip": float("nan")}}, "gradient_clip=nan should be above 0"),
        ({"schedule": {"gradient_clip": 0}}, "gradient_clip=0 should be above 0"),
        ({"schedule": {"seed": -1}}, "seed=-1 should be at least 0"),
        ({"schedule": {"threads": -1}}, "threads=-1 should be at least 0"),
        ({"schedule": {"threads": "two"}}, "threads='two' should be a whole number or null"),
        ({"schedule": {"average_decay": 1.0}}, "average_decay=1.0 should be from 0 to below 1"),
    ],
)
@pytest.mark.parametrize("defaults", [BlindRecipe(), DenoiserRecipe()])
def test_settings_that_cannot_train_are_refused(write, defaults, content, message):
    with pytest.raises(ValueError, match=message):
        read_parts(write(content), defaults)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"widths": [-1, 16]}, r"two widths or more, not \(-1, 16\)"),
        ({"widths": [0, 16]}, r"two widths or more, not \(0, 16\)"),
        ({"widths": [16.5, 32]}, r"two widths or more, not \(16.5, 32\)"),
        ({"fold": 0}, "a fold of at least 1, not 0"),
        ({"sigma": [0.2, 0.1]}, r"sigma=\(0.2, 0.1\) should be the lower and the upper end"),
        ({"sigma": [0, math.inf]}, r"network.sigma=\[0, inf\] should be numbers"),
    ],
)
def test_a_denoiser_that_cannot_be_built_is_refused(write, network, message):
    with pytest.raises(ValueError, match=message):
        read_parts(write({"network": network}), DenoiserRecipe())
