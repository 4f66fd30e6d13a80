"""Training of the no-reference metric on a handful of made pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import pearsonr, spearmanr

from birqa.blind.config import BlindConfig
from birqa.blind.network import Blind
from birqa.certify.denoising import load_denoiser
from birqa.certify.noise import Noise
from birqa.export import save_single
from birqa.images import load_image
from birqa.ratings import RatedPair, RatedPicture
from birqa.training.blind import (
    BlindTraining,
    describe_damage,
    describe_pictures,
    fit_blind,
    pretrain,
    shrunk_pictures,
)
from birqa.training.descent import Schedule

NETWORK = BlindConfig(widths=(4, 6))
TRAINING = BlindTraining(batch=8, crop=48, hidden=8)
SCHEDULE = Schedule(steps=3, learning_rate=1e-2, warmup=1, checkpoint_every=1)


@pytest.fixture(scope="module")
def damaged(scenes, tmp_path_factory):
    """Four pictures, each under three strengths of noise and of darkening."""
    folder, rng = tmp_path_factory.mktemp("damaged"), np.random.default_rng(0)
    pairs = []
    for number, picture in enumerate(scenes[:4]):
        for level in (1, 2, 3):
            noisy = picture + 20 * level * rng.standard_normal(picture.shape)
            for kind, pixels in (("noise", noisy), ("dark", picture * (1 - 0.25 * level))):
                path = folder / f"{number}-{kind}-{level}.png"
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
                pairs.append(RatedPair(path, path, 1 - 0.3 * level, "train", kind, str(level)))
    return pairs


@pytest.fixture(scope="module")
def rated(scenes, tmp_path_factory):
    """The made pictures, rated worse with their noise; every fourth is for testing."""
    folder, pictures = tmp_path_factory.mktemp("rated"), []
    for number, picture in enumerate(scenes):
        Image.fromarray(picture).save(folder / f"{number}.png")
        split = "test" if number % 4 == 3 else "val" if number % 4 == 2 else "train"
        pictures.append(RatedPicture(folder / f"{number}.png", 0.9 - number / 20, split))
    return pictures


@pytest.fixture(scope="module")
def run(damaged, tmp_path_factory):
    done = pretrain(NETWORK, TRAINING, SCHEDULE, damaged, tmp_path_factory.mktemp("run"))
    done.run()
    return done


# Learning damage


def test_pictures_are_averaged_over_cells_and_kept(damaged, tmp_path):
    files = [pair.dist for pair in damaged[:3]]
    small = shrunk_pictures(files, 2, tmp_path / "kept.npy")
    assert (small.shape, small.dtype) == ((3, 3, 32, 40), np.uint8)
    cells = load_image(files[1]).astype(float).reshape(32, 2, 40, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(small[1] - cells).max() <= 0.5
    np.testing.assert_array_equal(np.load(tmp_path / "kept.npy"), small)
    np.testing.assert_array_equal(shrunk_pictures(files, 2, tmp_path / "kept.npy"), small)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npy"]


def test_pictures_of_other_sizes_or_depths_are_named(damaged, tmp_path):
    Image.new("RGB", (80, 60)).save(tmp_path / "low.png")
    Image.fromarray(np.zeros((64, 80), np.uint16)).save(tmp_path / "deep.png")
    for name, message in (("low.png", "differs in size from"), ("deep.png", "is not an 8-bit picture")):
        with pytest.raises(ValueError, match=message) as caught:
            shrunk_pictures([damaged[0].dist, tmp_path / name], 2, tmp_path / "kept.npy")
        assert name in str(caught.value)
        assert not (tmp_path / "kept.npy").exists()
    with pytest.raises(ValueError, match="no pictures to train on"):
        shrunk_pictures([], 2, tmp_path / "kept.npy")


def test_batches_are_crops_with_their_labels(run, damaged):
    batch = run.draw(5)
    again = run.draw(5)
    assert batch.pictures.shape == (8, 3, 24, 24)
    assert torch.equal(batch.pictures, again.pictures)
    assert not torch.equal(batch.pictures, run.draw(6).pictures)
    small = shrunk_pictures([pair.dist for pair in damaged], 2, run.out / "pictures.npy")
    kinds, levels = sorted({pair.type for pair in damaged}), sorted({pair.level for pair in damaged})
    for crop, mos, kind, level in zip(batch.pictures, batch.mos, batch.type, batch.level, strict=True):
        fits = [
            index
            for index, pair in enumerate(damaged)
            if (kinds[kind], levels[level]) == (pair.type, pair.level) and abs(pair.mos - float(mos)) < 1e-6
        ]
        pixels = np.rint(crop.numpy() * 255).astype(np.uint8)
        views = np.lib.stride_tricks.sliding_window_view(small[fits], (24, 24), (2, 3))
        wanted = [pixels, pixels[:, :, ::-1]]
        assert any((views == one[None, :, None, None]).all((1, 4, 5)).any() for one in wanted)


def test_training_goes_on_as_if_it_had_not_stopped(run, damaged, tmp_path):
    first = pretrain(NETWORK, TRAINING, SCHEDULE, damaged, tmp_path)
    first.run(until=1)
    second = pretrain(NETWORK, TRAINING, SCHEDULE, damaged, tmp_path)
    assert second.step == 1
    second.run()
    for name, value in run.average.state_dict().items():
        assert torch.equal(value, second.average.state_dict()[name]), name
    with pytest.raises(ValueError, match="another configuration"):
        pretrain(replace(NETWORK, widths=(4, 8)), TRAINING, SCHEDULE, damaged, run.out)


def test_training_moves_every_weight(run, damaged, tmp_path):
    start = dict(pretrain(NETWORK, TRAINING, SCHEDULE, damaged, tmp_path).model.named_parameters())
    for name, value in run.model.named_parameters():
        assert not torch.equal(value, start[name]), name


def test_damage_is_learned(damaged, tmp_path):
    schedule = Schedule(steps=90, learning_rate=1e-2, warmup=5, checkpoint_every=30)
    done = pretrain(NETWORK, TRAINING, schedule, damaged, tmp_path)
    done.run()
    assert done.log[-1]["loss"] < 0.7 * done.log[0]["loss"]
    assert done.log[-1]["types_told"] > 0.75
    assert done.log[-1]["plcc"] > 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": replace(TRAINING, crop=47)}, "crop=47 should be a multiple of shrink=2"),
        ({"training": replace(TRAINING, crop=66)}, "crop=66 is larger than the pictures: lower it"),
        ({"pairs": []}, "every pair must have a type and a level"),
        ({"type": ""}, "every pair must have a type and a level"),
        ({"level": ""}, "every pair must have a type and a level"),
        ({"mos": 3.5}, r"1 ratings are outside 0\.\.1, for example 3\.5"),
    ],
)
def test_data_that_do_not_suit_are_refused(damaged, tmp_path, change, message):
    pairs = change.pop("pairs", damaged)
    training = change.pop("training", TRAINING)
    if change:
        pairs = [*pairs[1:], replace(pairs[0], **change)]
    with pytest.raises(ValueError, match=message):
        pretrain(NETWORK, training, SCHEDULE, pairs, tmp_path)
    assert not (tmp_path / "checkpoint.safetensors").exists()


# Asking people


def test_the_metric_is_fitted_to_all_but_the_test_pictures(run, rated):
    model, measured = fit_blind(NETWORK, run.average, rated)
    assert model.config == replace(NETWORK, supports=12)
    assert not model.training
    scores = []
    for picture in rated:
        pixels = torch.from_numpy(load_image(picture.image).transpose(2, 0, 1).copy())[None] / 255
        with torch.no_grad():
            scores.append(float(model(pixels)))
    ratings = np.array([picture.mos for picture in rated])
    test = np.array([picture.split == "test" for picture in rated])
    assert measured["pictures"] == 4
    assert measured["srocc"] == pytest.approx(spearmanr(np.array(scores)[test], ratings[test])[0])
    assert measured["plcc"] == pytest.approx(pearsonr(np.array(scores)[test], ratings[test])[0], abs=1e-3)
    # Noise is told easily, also in pictures that were not shown.
    assert measured["srocc"] > 0.7
    # What test pictures are rated makes no difference to the fit.
    changed = [replace(picture, mos=0.5) if picture.split == "test" else picture for picture in rated]
    other, nothing = fit_blind(NETWORK, run.average, changed)
    assert nothing == {}
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_a_metric_without_a_network_needs_no_training(rated, damaged, tmp_path):
    model, measured = fit_blind(BlindConfig(), None, rated)
    assert model.config.supports == 12
    assert measured["srocc"] > 0.7
    with pytest.raises(ValueError, match="without a network has nothing to learn from damage: set widths"):
        pretrain(BlindConfig(), TRAINING, SCHEDULE, damaged, tmp_path)


@pytest.fixture(scope="module")
def darkened(rated, tmp_path_factory):
    """Eight of the rated pictures, each darkened by a third and by two thirds."""
    folder, pairs = tmp_path_factory.mktemp("darkened"), []
    for number, one in enumerate(rated[:8]):
        for level in (1, 2):
            path = folder / f"{number}-{level}.png"
            Image.fromarray((load_image(one.image) * (1 - level / 3)).astype(np.uint8)).save(path)
            pairs.append(RatedPair(one.image, path, 0.9 - 0.4 * level, "train", "dark", str(level)))
    return pairs


def test_damage_that_no_rated_picture_has_lowers_the_score_once_it_was_shown(rated, darkened):
    training = BlindTraining(damage=0.5, identity_mos=0.9)
    plain, _ = fit_blind(BlindConfig(), None, rated)
    shown, _ = fit_blind(BlindConfig(), None, rated, damaged=darkened[:12], training=training)
    assert shown.config.supports == 12 + 6 + 12

    def drop(model, pair):
        before, after = (
            float(model.regression(describe_pictures(model, [file])[0])) for file in (pair.ref, pair.dist)
        )
        return before - after

    # Two photographs whose damage was not shown.
    unseen = darkened[12:]
    assert np.mean([drop(shown, pair) for pair in unseen]) > 0.1
    assert np.mean([drop(plain, pair) for pair in unseen]) < 0.1
    # The heavier damage costs more, also where it was shown.
    for mild, heavy in zip(darkened[::2], darkened[1::2], strict=True):
        assert drop(shown, heavy) > drop(shown, mild)


def test_what_damage_is_worth_by_hand(rated, darkened):
    training = BlindTraining(damaged=5, damage=0.5, identity_mos=0.8)
    blind, _ = fit_blind(BlindConfig(), None, rated)
    damage = describe_damage(blind, training, darkened)
    assert len(damage.places) == len(damage.cost) == 5
    refs = sorted({pair.ref for pair in darkened})
    described = describe_pictures(blind, [pair.dist for pair in darkened])
    photographs = len(damage.statistics) - 5
    for row, place, cost in zip(damage.statistics[photographs:], damage.places, damage.cost, strict=True):
        (index,) = (k for k, one in enumerate(described) if torch.equal(one, row))
        whole = describe_pictures(blind, [darkened[index].ref])[0]
        assert torch.equal(damage.statistics[place], whole)
        # A rating of .5 is 3 / 8 below .8, one of .1 is 7 / 8 below it.
        assert float(cost) == pytest.approx(0.5 * (3 if darkened[index].level == "1" else 7) / 8)
    assert photographs <= len(refs)


def test_pictures_seen_in_black_and_white_too_are_scored_alike(rated, darkened, tmp_path):
    """Those that were held out: nearer to their scores in colour than by a metric that saw colour alone."""
    grey = []
    for number, one in enumerate(rated):
        grey.append(tmp_path / f"{number}.png")
        Image.open(one.image).convert("L").save(grey[-1])
    plain, both = (
        fit_blind(BlindConfig(), None, rated, training=BlindTraining(grey=seen))[0] for seen in (False, True)
    )
    assert (plain.config.supports, both.config.supports) == (12, 24)

    def apart(model):
        views = [describe_pictures(model, files)[3::4, 0] for files in ([one.image for one in rated], grey)]
        coloured, drained = (model.regression(view) for view in views)
        return float((coloured - drained).abs().mean())

    assert apart(both) < 0.7 * apart(plain)
    described = describe_pictures(both, [one.image for one in rated], grey=True)
    # Pillow rounds some luma to the next level.
    assert float((described[:, 1] - describe_pictures(both, grey)[:, 0]).abs().mean()) < 1e-4
    shown, measured = fit_blind(
        BlindConfig(), None, rated, damaged=darkened[:12], training=BlindTraining(grey=True)
    )
    # Of damaged pictures and their photographs there is one view, counted twice.
    assert shown.config.supports == 2 * (12 + 6 + 12)
    assert set(measured) == {"pictures", "srocc", "plcc"}
    noisy = describe_pictures(Blind(BlindConfig(noise=(0.05, 0.2))), [rated[0].image], grey=True)
    assert noisy.shape[1] == 4


def test_a_metric_for_noisy_pictures_is_fitted_to_views_under_each_noise(rated):
    noisy = BlindConfig(noise=(0.05, 0.2))
    model, measured = fit_blind(noisy, None, rated)
    assert model.config == replace(noisy, supports=24)
    assert measured["pictures"] == 4
    assert set(measured) == {"pictures", "sigma 0.05", "sigma 0.2"}
    described = describe_pictures(model, [one.image for one in rated])
    assert described.shape == (16, 2, sum(noisy.groups))
    # As a certificate draws them, another noise for every picture, clamped.
    for number in (0, 5):
        planes = np.ascontiguousarray(load_image(rated[number].image).transpose(2, 0, 1))
        for view, sigma in enumerate(noisy.noise):
            drawn = Noise("discrete", sigma).draw(number, planes)[None].clip(0, 1)
            torch.testing.assert_close(described[number, view], model.describe(torch.from_numpy(drawn))[0])
    scores = model.regression(described[3::4, 1]).tolist()
    due = spearmanr(scores, [one.mos for one in rated[3::4]])[0]
    assert measured["sigma 0.2"]["srocc"] == pytest.approx(due)


def test_a_metric_behind_a_denoiser_is_fitted_to_what_it_leaves(rated, tmp_path, tiny_denoiser):
    folder = tmp_path / "denoiser"
    save_single(tiny_denoiser(), folder, name="denoiser.tiny", version="1", card={})
    behind = BlindConfig(noise=(0.1,), denoiser=str(folder))
    model, measured = fit_blind(behind, None, rated)
    assert set(measured) == {"pictures", "sigma 0.1"}
    described = describe_pictures(model, [rated[2].image])
    planes = np.ascontiguousarray(load_image(rated[2].image).transpose(2, 0, 1))
    left = load_denoiser(folder)(Noise("discrete", 0.1).draw(0, planes)[None])
    torch.testing.assert_close(described[0], model.describe(torch.from_numpy(left)))


def test_noise_is_laid_on_pictures_of_8_bits_only(rated, tmp_path):
    Image.fromarray(np.full((40, 40), 2000, np.uint16)).save(tmp_path / "deep.png")
    deep = [*rated, RatedPicture(tmp_path / "deep.png", 0.5, "train")]
    with pytest.raises(ValueError, match=r"deep\.png is not an 8-bit picture: convert it"):
        fit_blind(BlindConfig(noise=(0.1,)), None, deep)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_test_pictures_to_correlate_are_no_reason_to_stop(run, rated, count):
    pictures = [one for one in rated if one.split != "test"]
    pictures += [one for one in rated if one.split == "test"][:count]
    assert fit_blind(NETWORK, run.average, pictures)[1] == {}


def test_progress_is_told(run, rated):
    told = []
    blind = fit_blind(NETWORK, run.average, rated)[0]
    described = describe_pictures(blind, [one.image for one in rated], lambda *now: told.append(now))
    assert described.shape == (16, 1, sum(NETWORK.groups))
    assert told == [(done, 16) for done in range(17)]


def test_pictures_that_nothing_can_be_learned_from_are_refused(run, rated, tmp_path):
    with pytest.raises(ValueError, match="9 rated pictures are too few"):
        fit_blind(NETWORK, run.average, rated[:12])
    with pytest.raises(ValueError, match=r"16 ratings are outside 0\.\.1"):
        fit_blind(NETWORK, run.average, [replace(one, mos=50 + one.mos) for one in rated])
    Image.new("RGB", (40, 31)).save(tmp_path / "low.png")
    small = [*rated, RatedPicture(tmp_path / "low.png", 0.5, "train")]
    with pytest.raises(ValueError, match=r"low\.png is too small: each side must be at least 32"):
        fit_blind(NETWORK, run.average, small)


def test_missing_pictures_are_counted_before_any_is_read(damaged, tmp_path):
    gone = tmp_path / "gone.png"
    with pytest.raises(ValueError, match=rf"^1 pictures do not exist, e\.g\. {gone}: check the table"):
        pretrain(NETWORK, TRAINING, SCHEDULE, [*damaged, replace(damaged[0], dist=gone)], tmp_path)


def test_a_run_does_not_go_on_with_other_labels(damaged, tmp_path):
    pretrain(NETWORK, TRAINING, SCHEDULE, damaged, tmp_path).run(until=1)
    changed = [replace(damaged[0], mos=0.123), *damaged[1:]]
    with pytest.raises(ValueError, match="was written with another configuration"):
        pretrain(NETWORK, TRAINING, SCHEDULE, changed, tmp_path)
