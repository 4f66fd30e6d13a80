import dataclasses
import json
import subprocess
import sys

import pytest

from birqa.network.config import BiRQAConfig


@pytest.mark.parametrize(
    "config",
    [
        BiRQAConfig(),
        BiRQAConfig(widths=(8, 16), blocks=(0, 2), patch=2, lbp="soft", lbp_temperature=0.1),
        BiRQAConfig(csram=False, scgb=False, reliability_head=False, gem_powers=(1.5, 4.0)),
    ],
)
def test_a_round_trip_through_json_gives_the_same_record(config):
    restored = BiRQAConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert restored == config
    assert hash(restored) == hash(config)


def test_missing_fields_take_their_defaults():
    assert BiRQAConfig.from_dict({"patch": 2}) == BiRQAConfig(patch=2)


def test_unknown_fields_are_refused_by_name():
    with pytest.raises(ValueError, match=r"unknown fields: colour, depth\.$"):
        BiRQAConfig.from_dict({"patch": 4, "depth": 3, "colour": "rgb"})


@pytest.mark.parametrize(
    ("widths", "blocks"), [((8, 16), (1,)), ((8,), (1,)), ((), ()), ((8, 8, 8), (1, 1, 1, 1))]
)
def test_levels_that_do_not_match_are_refused(widths, blocks):
    with pytest.raises(ValueError, match="same number of levels, at least 2"):
        BiRQAConfig(widths=widths, blocks=blocks)


@pytest.mark.parametrize("widths", [(8, 12, 16, 16), (7, 8, 8, 8), (32, 64, 128, 100)])
def test_widths_that_are_not_multiples_of_8_are_refused(widths):
    with pytest.raises(ValueError, match="must be multiples of 8"):
        BiRQAConfig(widths=widths)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head_width": -2}, "head_width=-2 must be a whole number of at least 1"),
        ({"head_hidden": 0}, "head_hidden=0 must be a whole number of at least 1"),
        ({"patch": 0}, "patch=0 must be a whole number of at least 1"),
        ({"squeeze": 2.5}, "squeeze=2.5 must be a whole number of at least 1"),
        ({"shrink": True}, "shrink=True must be a whole number of at least 1"),
        ({"gem_powers": []}, r"gem_powers=\(\) must be two numbers above 0"),
        ({"gem_powers": [1, "6"]}, r"gem_powers=\(1, '6'\) must be two numbers above 0"),
        ({"gem_powers": [0, 6]}, r"gem_powers=\(0, 6\) must be two numbers above 0"),
        ({"gem_powers": 6}, "gem_powers=6 must be a list of numbers"),
        ({"widths": 32}, "widths=32 must be a list of numbers"),
        ({"widths": ["8", 8], "blocks": [1, 1]}, r"widths=\('8', 8\) must be multiples of 8"),
        ({"blocks": [1, 1, 1, -1]}, r"blocks=\(1, 1, 1, -1\) must be whole numbers of at least 0"),
        ({"reliability_bound": 0}, "reliability_bound=0 must be a number above 0"),
        ({"lbp_temperature": float("inf")}, "lbp_temperature=inf must be a number above 0"),
        ({"lbp": "softer"}, "lbp='softer' must be hard, soft or straight-through"),
        ({"feature_floor": "low"}, "feature_floor='low' should be at least 0 and below 1"),
        ({"csram": 1}, "csram=1 must be true or false"),
    ],
)
def test_values_that_no_network_can_have_are_refused_in_one_sentence(values, message):
    with pytest.raises(ValueError, match=f"^{message}.$"):
        BiRQAConfig.from_dict(values)


@pytest.mark.parametrize("floor", [-0.01, 1.0])
def test_a_feature_floor_outside_the_range_of_luma_is_refused(floor):
    with pytest.raises(ValueError, match="feature_floor"):
        BiRQAConfig(feature_floor=floor)


@pytest.mark.parametrize(("levels", "patch", "multiple"), [(4, 4, 32), (2, 4, 8), (4, 2, 16), (3, 8, 32)])
def test_padding_multiple_is_one_cell_of_the_coarsest_level(levels, patch, multiple):
    config = BiRQAConfig(widths=(8,) * levels, blocks=(1,) * levels, patch=patch)
    assert (config.levels, config.multiple) == (levels, multiple)


def test_the_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BiRQAConfig().patch = 8


def test_importing_the_configuration_does_not_load_torch():
    code = "import sys, birqa.network.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
