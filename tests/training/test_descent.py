"""The plain loop: seeded, resumed on the same bits, stopped by NaN, never half written."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import birqa.training.checkpoint
from birqa.training.descent import Descent, Schedule, learning_rate

SCHEDULE = Schedule(steps=4, learning_rate=1e-2, warmup=2, weight_decay=1e-2, checkpoint_every=2)
FILES = {"checkpoint.safetensors", "configuration.json", "curves.csv"}


def draw(step):
    return torch.from_numpy(np.random.default_rng(step).normal(size=(8, 3)).astype(np.float32))


def loss_of(model, drawn):
    missed = (model(drawn)[:, 0] - drawn.sum(1)).square().mean()
    return missed, {"largest": float(drawn.max())}


def descent(out, schedule=SCHEDULE, draw=draw, loss=loss_of, same=None, defaults=None):
    torch.manual_seed(schedule.seed)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1))
    return Descent(model, schedule, draw, loss, out, same or {"data": [1, 2]}, defaults)


def assert_same_bits(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = descent(tmp_path_factory.mktemp("unbroken") / "run")
    run.run()
    return run


# The rate


def test_the_rate_rises_linearly_then_falls_as_a_cosine_to_zero():
    schedule = Schedule(steps=110, warmup=10, learning_rate=0.5)
    rates = [learning_rate(schedule, step) for step in range(111)]
    np.testing.assert_allclose(rates[:10], 0.05 * np.arange(1, 11))
    np.testing.assert_allclose(rates[10:], [0.25 * (1 + math.cos(math.pi * k / 100)) for k in range(101)])


@pytest.mark.parametrize("field", ["steps", "checkpoint_every"])
def test_a_schedule_has_steps(field):
    with pytest.raises(ValueError, match=f"{field}=0 should be at least 1"):
        replace(SCHEDULE, **{field: 0})


# Going on


@pytest.mark.parametrize("until", [1, 2, 3])
def test_a_run_in_two_parts_ends_on_the_same_bits(unbroken, tmp_path, until):
    first = descent(tmp_path)
    first.run(until=until)
    assert first.step == until
    second = descent(tmp_path)
    assert second.step == until
    assert_same_bits(first.model.state_dict(), second.model.state_dict())
    assert_same_bits(first.average.state_dict(), second.average.state_dict())
    kept = second.run()
    assert kept is second.average
    assert_same_bits(load_file(second.checkpoint), load_file(unbroken.checkpoint))
    # Running means of the normalisation, and how often it was updated, are among the bits.
    assert {"average/1.running_mean", "model/1.num_batches_tracked"} <= load_file(second.checkpoint).keys()
    assert second.model[1].num_batches_tracked == 4


def test_a_finished_run_does_nothing_when_run_again(unbroken):
    before = unbroken.checkpoint.read_bytes()
    entries = []
    again = descent(unbroken.out)
    again.run(entries.append)
    assert entries == []
    assert unbroken.checkpoint.read_bytes() == before
    assert again.log == unbroken.log


@pytest.mark.parametrize(
    "change",
    [{"schedule": replace(SCHEDULE, seed=1)}, {"schedule": replace(SCHEDULE, steps=9)}, {"same": {}}],
)
def test_a_run_of_another_configuration_is_not_resumed(unbroken, change):
    change = {"same": {"data": [1, 3]}} if change == {"same": {}} else change
    with pytest.raises(
        ValueError, match=r"checkpoint\.safetensors was written with another configuration; use"
    ):
        descent(unbroken.out, **change)


# A step


def test_the_first_step_moves_weights_by_the_rate_and_averages_them(tmp_path):
    run = descent(tmp_path, replace(SCHEDULE, weight_decay=0.0))
    start = {name: value.clone() for name, value in run.model.named_parameters()}
    run.run(until=1)
    for (name, value), mean in zip(run.model.named_parameters(), run.average.parameters(), strict=True):
        torch.testing.assert_close(mean, 0.1 * start[name] + 0.9 * value)
    # Adam's first step moves a weight by the rate, whatever the gradient; some biases have none.
    moved = max(
        float((value - start[name]).abs().max().detach()) for name, value in run.model.named_parameters()
    )
    assert moved == pytest.approx(learning_rate(SCHEDULE, 0), rel=1e-3)
    assert_same_bits(dict(run.average.named_buffers()), dict(run.model.named_buffers()))


def test_steps_are_drawn_in_order_whatever_is_resumed(tmp_path):
    drawn = []

    def watched(step):
        drawn.append(step)
        return draw(step)

    descent(tmp_path, draw=watched).run(until=2)
    descent(tmp_path, draw=watched).run()
    # One more is drawn ahead each time.
    assert [step for step in drawn if step < 4] in ([0, 1, 2, 2, 3], [0, 1, 2, 3])


def test_the_log_holds_means_since_the_last_entry(tmp_path):
    losses = []

    def watched(model, drawn):
        loss, figures = loss_of(model, drawn)
        losses.append(loss.item())
        return loss, figures

    entries = []
    run = descent(tmp_path, loss=watched)
    run.run(entries.append)
    assert [entry["step"] for entry in entries] == [2, 4]
    assert [entry["loss"] for entry in entries] == pytest.approx([np.mean(losses[:2]), np.mean(losses[2:])])
    assert entries[0]["largest"] == pytest.approx(float(np.mean([draw(0).max(), draw(1).max()])))
    assert entries[1]["minutes_left"] == 0
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [entry["loss"] for entry in run.log]
    configuration = json.loads((tmp_path / "configuration.json").read_text())
    assert (configuration["steps"], configuration["data"]) == (4, [1, 2])


def test_training_lowers_the_loss_on_the_averaged_model(tmp_path):
    run = descent(tmp_path, Schedule(steps=200, learning_rate=3e-2, warmup=5, average_decay=0.9))
    before = float(loss_of(run.average, draw(999))[0])
    average = run.run()
    assert not average.training
    assert float(loss_of(average, draw(999))[0]) < 0.2 * before


# Failures


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_and_leaves_the_last_checkpoint(tmp_path, bad):
    def broken(model, drawn):
        loss, figures = loss_of(model, drawn)
        broken.calls += 1
        return loss * (bad if broken.calls == 4 else 1), figures

    broken.calls = 0
    run = descent(tmp_path, loss=broken)
    with pytest.raises(
        FloatingPointError, match=r"the loss is (nan|inf) .*at step 3 \(seed 0\): lower the learning rate"
    ):
        run.run()
    assert all(torch.isfinite(parameter).all() for parameter in run.model.parameters())
    assert {path.name for path in tmp_path.iterdir()} == FILES
    resumed = descent(tmp_path)
    assert resumed.step == 2
    resumed.run()
    assert resumed.step == 4


def test_a_crash_while_writing_leaves_the_last_checkpoint_usable(tmp_path, monkeypatch, unbroken):
    run = descent(tmp_path)
    run.run(until=2)
    before = run.checkpoint.read_bytes()

    def torn(tensors, path, metadata=None):
        path.write_bytes(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(birqa.training.checkpoint, "save_file", torn)
        with pytest.raises(OSError, match="disk full"):
            run.run()
    assert run.checkpoint.read_bytes() == before
    resumed = descent(tmp_path)
    assert resumed.step == 2
    resumed.run()
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert_same_bits(load_file(resumed.checkpoint), load_file(unbroken.checkpoint))


def test_an_error_while_drawing_is_raised(tmp_path):
    def broken(step):
        if step == 1:
            raise ValueError("this picture is gone")
        return draw(step)

    with pytest.raises(ValueError, match="this picture is gone"):
        descent(tmp_path, draw=broken).run()
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_a_run_from_before_a_setting_existed_goes_on(tmp_path):
    descent(tmp_path, same={"training": {"old": 1, "new": 7}}).run(until=2)
    tensors = load_file(tmp_path / "checkpoint.safetensors")
    with safe_open(tmp_path / "checkpoint.safetensors", "pt") as file:
        meta = file.metadata()
    old = json.loads(meta["configuration"])
    del old["training"]["new"], old["seed"]
    save_file(
        tensors, tmp_path / "checkpoint.safetensors", metadata=meta | {"configuration": json.dumps(old)}
    )
    before = {"training": {"new": 7}}
    assert descent(tmp_path, same={"training": {"old": 1, "new": 7}}, defaults=before).step == 2
    with pytest.raises(ValueError, match="written with another configuration"):
        descent(tmp_path, same={"training": {"old": 1, "new": 8}}, defaults=before)
