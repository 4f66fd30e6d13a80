"""birqa train: what it refuses in one sentence, and what its run folder tells of the data."""

import json
import os

import pytest
from PIL import Image

TINY = {
    "network": {"widths": [8, 8], "blocks": [0, 0], "head_width": 4, "head_hidden": 4},
    "steps": 2,
    "batch": 2,
    "crop": 32,
}


@pytest.fixture
def command(tmp_path, photographs, damage):
    """command(changes, *options) -> arguments of `birqa train` on two distorted pictures."""
    Image.fromarray(photographs[0]).save(tmp_path / "ref.png")
    lines = ["ref,dist,mos"]
    for sigma in (10, 40):
        Image.fromarray(damage("noise", photographs[0], sigma)).save(tmp_path / f"{sigma}.png")
        lines.append(f"ref.png,{sigma}.png,{5 - sigma / 10}")
    (tmp_path / "meta.csv").write_text("\n".join(lines) + "\n")

    def arguments(changes, *options):
        (tmp_path / "recipe.json").write_text(json.dumps(TINY | changes))
        files = "--data", tmp_path / "meta.csv", "-o", tmp_path / "run", "--recipe", tmp_path / "recipe.json"
        return "train", *files, "--mos-range", 0, 5, *options

    return arguments


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, ("--seed", -1), "birqa: seed=-1 should be at least 0."),
        ({"threads": -1}, (), "birqa: threads=-1 should be at least 0."),
        ({"identity_mos": 0}, (), "birqa: identity_mos=0 should be above 0."),
        ({"defence": {"budget": "a"}}, (), "birqa: defence budget='a' should be a number."),
        ({"network": {"gem_powers": []}}, (), "birqa: gem_powers=() must be two numbers above 0."),
    ],
)
def test_settings_that_cannot_train_are_told_before_there_is_a_run_folder(
    refuses, command, tmp_path, changes, options, message
):
    refuses(message, *command(changes, *options))
    assert not (tmp_path / "run").exists()


def test_the_run_folder_tells_where_its_ratings_are_from_and_goes_on_when_the_table_moves(
    cli, command, tmp_path
):
    assert cli(*command({})).code == 0
    environment = tmp_path / "run" / "environment.json"
    assert json.loads(environment.read_text())["data"] == {
        "table": str(tmp_path / "meta.csv"),
        "mos_range": [0, 5],
    }
    (tmp_path / "meta.csv").rename(tmp_path / "moved.csv")
    assert cli(*command({}, "--data", tmp_path / "moved.csv")).code == 0
    assert json.loads(environment.read_text())["data"]["table"] == str(tmp_path / "moved.csv")


def test_a_checkpoint_that_a_power_cut_left_empty_is_one_sentence(cli, command, tmp_path):
    assert cli(*command({})).code == 0
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    os.truncate(checkpoint, 0)
    answer = cli(*command({}))
    assert (answer.code, answer.out) == (2, "")
    message = f"birqa: {checkpoint} is empty, cut off or damaged: delete its folder to start anew."
    assert answer.err.splitlines()[-1] == message


def test_a_reference_in_training_and_test_is_refused_however_it_is_spelled(command, refuses, tmp_path):
    arguments = command({})
    lines = ["ref,dist,mos,split", "ref.png,10.png,4,train", f"../{tmp_path.name}/ref.png,40.png,1,test"]
    (tmp_path / "meta.csv").write_text("\n".join(lines) + "\n")
    refuses("is in the splits train and test", *arguments)
