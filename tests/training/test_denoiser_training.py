"""Training of the denoiser: its three losses, what it draws, and that it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from birqa.blind.config import DenoiserConfig
from birqa.blind.denoiser import Denoiser
from birqa.ratings import RatedPicture
from birqa.training.denoiser import Called, DenoiserTraining, order_loss, train_denoiser
from birqa.training.descent import Schedule

NETWORK = DenoiserConfig(widths=(4, 6), sigma=(0.1, 0.2))
TRAINING = DenoiserTraining(batch=6, crop=32, rank_weight=0, target_weight=0)
SCHEDULE = Schedule(steps=2, learning_rate=1e-2, warmup=1, checkpoint_every=1)


class Brightness(nn.Module):
    """A metric whose score is the mean sample."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, pictures):
        return self.gain * pictures.mean((1, 2, 3))


@pytest.fixture(scope="module")
def pictures(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    for number, picture in enumerate(scenes[:4]):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return [RatedPicture(folder / f"{number}.png", number / 4, "train") for number in range(4)]


def training(pictures, out, **changes):
    parts = {"network": NETWORK, "training": TRAINING, "schedule": SCHEDULE, "pictures": pictures, "out": out}
    return train_denoiser(**(parts | changes))


# Order


def test_order_loss_by_hand():
    mos = torch.tensor([0.9, 0.5, 0.1])
    # Pairs (0, 1), (0, 2), (1, 2) want gaps of .4, .8, .4 and have .1, .1, .0.
    scores = torch.tensor([0.6, 0.5, 0.5])
    assert float(order_loss(scores, mos, 1.0)) == pytest.approx((0.3 + 0.7 + 0.4) / 3)
    assert float(order_loss(scores, mos, 0.0)) == 0
    assert float(order_loss(scores.flip(0), mos, 0.0)) == pytest.approx((0.0 + 0.1 + 0.1) / 3)
    assert float(order_loss(mos, mos, 1.0)) == pytest.approx(0, abs=1e-7)
    assert float(order_loss(scores, torch.full((3,), 0.5), 1.0)) == 0
    assert float(order_loss(scores[:1], mos[:1], 1.0)) == 0


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=9),
    st.floats(0, 2, width=32),
)
def test_order_loss_is_the_mean_hinge_over_ordered_pairs(rated, margin):
    hinges = [
        max(0.0, margin * (better - worse) - (high - low))
        for high, better in rated
        for low, worse in rated
        if better > worse
    ]
    scores, mos = torch.tensor(rated, dtype=torch.float64).unbind(1)
    expected = np.mean(hinges) if hinges else 0
    assert float(order_loss(scores, mos, margin)) == pytest.approx(expected, abs=1e-9)


def test_the_gradient_of_the_order_lifts_the_better_picture():
    scores = torch.tensor([0.5, 0.5], requires_grad=True)
    order_loss(scores, torch.tensor([0.8, 0.2]), 1.0).backward()
    assert scores.grad.tolist() == [-1, 1]


# Draws


def test_a_metric_that_falls_with_quality_is_turned_round():
    pictures = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    means = pictures.mean((1, 2, 3))
    for larger_is_better, sign in ((True, 1), (False, -1)):
        called = Called(lambda pictures: pictures.mean((1, 2, 3)), larger_is_better)
        assert torch.equal(called(pictures), sign * means)


def test_noisy_pictures_are_whole_levels_beyond_the_range_too(pictures, tmp_path):
    batch = training(pictures, tmp_path).draw(3)
    levels = 255 * batch.noisy.double()
    assert (levels - levels.round()).abs().max() < 1e-4
    assert batch.noisy.min() < 0
    assert batch.noisy.max() > 1
    assert batch.clean.shape == batch.noisy.shape == (6, 3, 32, 32)
    assert 0 <= batch.clean.min() < batch.clean.max() <= 1


def test_the_noise_has_a_strength_of_its_own_in_the_range_for_each_picture(pictures, tmp_path):
    run = training(pictures, tmp_path)
    sigmas = torch.cat([(run.draw(step).noisy - run.draw(step).clean).std((1, 2, 3)) for step in range(40)])
    assert 0.09 < sigmas.min() < 0.105
    assert 0.195 < sigmas.max() < 0.21
    assert sigmas.mean() == pytest.approx(0.15, abs=0.01)
    none = training(pictures, tmp_path / "none", network=replace(NETWORK, sigma=(0.0, 0.0))).draw(0)
    torch.testing.assert_close(none.noisy, none.clean, rtol=0, atol=1e-6)


def test_draws_are_crops_of_the_pictures_with_their_ratings(pictures, scenes, tmp_path):
    run = training(pictures, tmp_path)
    seen = set()
    for step in range(3):
        batch = run.draw(step)
        for crop, mos in zip(batch.clean, batch.mos, strict=True):
            pixels = np.rint(crop.numpy() * 255).astype(np.uint8).transpose(1, 2, 0)
            number = round(float(mos) * 4)
            views = np.lib.stride_tricks.sliding_window_view(scenes[number], (32, 32), (0, 1))
            found = [
                (views == one.transpose(2, 0, 1)).all((2, 3, 4)).any() for one in (pixels, pixels[:, ::-1])
            ]
            assert any(found)
            seen.add((number, found[0]))
    assert len(seen) > 4
    assert torch.equal(run.draw(1).noisy, training(pictures, tmp_path).draw(1).noisy)


# Losses


def test_the_loss_is_error_order_and_distance_of_scores(pictures, tmp_path, tiny_denoiser):
    settings = replace(TRAINING, rank_weight=0.3, target_weight=0.7, margin=0.5)
    metric = Brightness()
    run = training(pictures, tmp_path, training=settings, metric=metric)
    assert not any(parameter.requires_grad for parameter in metric.parameters())
    batch, model = run.draw(0), tiny_denoiser()
    loss, figures = run.loss(model, batch)
    with torch.no_grad():
        cleaned = model(batch.noisy)
        mse = float((cleaned - batch.clean).square().mean())
        scores, wanted = cleaned.mean((1, 2, 3)), batch.clean.mean((1, 2, 3))
        order, target = float(order_loss(scores, batch.mos, 0.5)), float((scores - wanted).abs().mean())
    assert figures == pytest.approx({"mse": mse, "order": order, "target": target})
    assert loss.item() == pytest.approx(mse + 0.3 * order + 0.7 * target)
    loss.backward()
    assert metric.gain.grad is None
    assert model.first.weight.grad.abs().max() > 0


def test_without_weights_only_the_error_counts_and_no_metric_is_asked(pictures, tmp_path, tiny_denoiser):
    def asked(pictures):
        raise AssertionError

    metric = Brightness()
    metric.forward = asked
    run = training(pictures, tmp_path, metric=metric)
    batch = run.draw(0)
    loss, figures = run.loss(tiny_denoiser(), batch)
    assert figures == {"mse": pytest.approx(loss.item())}


# Runs


def test_noise_is_removed_after_some_steps(pictures, tmp_path):
    schedule = Schedule(steps=200, learning_rate=3e-3, warmup=20, average_decay=0.9)
    run = training(pictures, tmp_path, schedule=schedule, network=replace(NETWORK, widths=(12, 16)))
    trained = run.run()
    batch = run.draw(999)
    with torch.no_grad():
        before = (batch.noisy.clamp(0, 1) - batch.clean).square().mean()
        assert (trained(batch.noisy) - batch.clean).square().mean() < 0.7 * before


def test_a_run_in_two_parts_ends_on_the_same_bits(pictures, tmp_path):
    settings = {"training": replace(TRAINING, rank_weight=1.0), "metric": Brightness()}
    whole = training(pictures, tmp_path / "whole", **settings).run()
    training(pictures, tmp_path / "parts", **settings).run(until=1)
    parts = training(pictures, tmp_path / "parts", **settings).run()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    with pytest.raises(ValueError, match="another configuration"):
        training(pictures, tmp_path / "parts")


def test_a_run_may_start_from_given_weights(pictures, tmp_path):
    start = Denoiser(NETWORK).state_dict()
    run = training(pictures, tmp_path, start=start)
    for name, value in start.items():
        assert torch.equal(value, run.model.state_dict()[name]), name


def test_whole_pictures_may_be_taken(pictures, tmp_path):
    run = training(pictures, tmp_path, training=replace(TRAINING, crop=0))
    assert run.draw(0).clean.shape == (6, 3, 64, 80)
    assert run.run(until=1) is run.average


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": 34}, "crop=34 should be a multiple of 4"),
        ({"crop": -4}, "crop=-4 should be at least 0"),
        ({"crop": 68}, r"0\.png is smaller than the crop of 68: lower `crop`"),
        ({"rank_weight": 0.1}, "rank_weight and target_weight need a metric"),
        ({"target_weight": 0.1}, "rank_weight and target_weight need a metric"),
    ],
)
def test_settings_that_do_not_suit_are_refused(pictures, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        training(pictures, tmp_path, training=replace(TRAINING, **change))


def test_pictures_that_do_not_suit_are_refused(pictures, tmp_path):
    with pytest.raises(ValueError, match="no pictures to train on"):
        training([], tmp_path)
    with pytest.raises(ValueError, match=r"1 ratings are outside 0\.\.1, for example 63\.2"):
        training([*pictures, replace(pictures[0], mos=63.2)], tmp_path)
    with pytest.raises(ValueError, match=r"1 pictures do not exist, e\.g\. .*gone\.png"):
        training([*pictures, replace(pictures[0], image=tmp_path / "gone.png")], tmp_path)
    Image.fromarray(np.zeros((64, 80), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png is not an 8-bit picture"):
        training([RatedPicture(tmp_path / "deep.png", 0.5, "train")], tmp_path)
    whole = replace(TRAINING, crop=0)
    for size in ((80, 48), (78, 64)):
        Image.new("RGB", size).save(tmp_path / "other.png")
        odd = RatedPicture(tmp_path / "other.png", 0.5, "train")
        with pytest.raises(ValueError, match="whole pictures must have one size"):
            training([*pictures, odd], tmp_path, training=whole)
    with pytest.raises(ValueError, match="its sides multiples of 4"):
        training([odd], tmp_path, training=whole)


@pytest.mark.parametrize("change", ["ratings", "metric", "metric_label", "start"])
def test_a_run_does_not_go_on_with_other_data_or_weights(pictures, tmp_path, change):
    training(pictures, tmp_path, metric=Brightness()).run(until=1)
    training(pictures, tmp_path, metric=Brightness())
    other = {}
    if change == "ratings":
        other["pictures"] = [replace(pictures[0], mos=0.77), *pictures[1:]]
    elif change == "metric_label":
        other["metric_label"] = "python:another:function"
    elif change == "start":
        other["start"] = Denoiser(NETWORK).state_dict()
    metric = Brightness()
    if change == "metric":
        metric.gain.data += 1
    with pytest.raises(ValueError, match="was written with another configuration"):
        training(**({"pictures": pictures, "out": tmp_path, "metric": metric} | other))
