import csv
import hashlib
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.stats import pearsonr, spearmanr

import birqa.training.fit
from birqa.files import replacing
from birqa.images import load_image
from birqa.network.birqa import BiRQA
from birqa.network.config import BiRQAConfig
from birqa.registry import find_model
from birqa.robustness.protocol import load_protocol
from birqa.training.blind import BlindRecipe
from birqa.training.config import TrainingConfig, load_recipe
from birqa.training.denoiser import DenoiserRecipe
from birqa.training.descent import learning_rate
from birqa.training.fit import Trainer, start_from
from birqa.training.losses import regression_loss
from birqa.training.recipes import read_card, read_parts

RECIPES = Path(__file__).parents[2] / "recipes"
NETWORK = BiRQAConfig(widths=(8, 16), blocks=(1, 1), head_width=8, head_hidden=8)
CONFIG = TrainingConfig(
    network=NETWORK,
    steps=4,
    batch=4,
    references_per_batch=2,
    crop=32,
    learning_rate=1e-3,
    warmup=2,
    validate_every=4,
    checkpoint_every=2,
)


@pytest.fixture(scope="module")
def pairs(noisy_pairs):
    """Four references with five strengths of noise; the rating falls with the strength."""
    return noisy_pairs([12 * k for k in range(5)], lambda number, k: 1 - k / 5, "validation")


def trainer(pairs, out, config=CONFIG):
    parts = [[pair for pair in pairs if pair.split == split] for split in ("train", "validation")]
    return Trainer(config, *parts, out)


def tensors(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def assert_same_bits(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


# Learning rate


def test_learning_rate_rises_linearly_then_falls_as_a_cosine_to_zero():
    config = TrainingConfig(steps=110, warmup=10, learning_rate=0.5)
    rates = [learning_rate(config, step) for step in range(111)]
    np.testing.assert_allclose(rates[:10], 0.05 * np.arange(1, 11))
    np.testing.assert_allclose(rates[10:], [0.25 * (1 + math.cos(math.pi * k / 100)) for k in range(101)])
    assert rates[10] == 0.5
    assert rates[60] == pytest.approx(0.25)
    assert rates[110] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("warmup", [0, 5])
def test_learning_rate_is_positive_and_at_most_its_peak_in_short_runs(warmup):
    config = TrainingConfig(steps=5, warmup=warmup, learning_rate=0.1)
    assert all(0 < learning_rate(config, step) <= 0.1 for step in range(5))


# Resuming


@pytest.fixture(scope="module")
def unbroken(pairs, tmp_path_factory):
    run = trainer(pairs, tmp_path_factory.mktemp("unbroken"))
    run.run()
    return run


@pytest.mark.parametrize("network", [NETWORK, replace(NETWORK, reliability_head=False, csram=False)])
def test_a_resumed_run_ends_on_the_same_bits_as_an_unbroken_one(pairs, tmp_path, network):
    config = replace(CONFIG, network=network)
    whole = trainer(pairs, tmp_path / "whole", config)
    whole.run()
    first = trainer(pairs, tmp_path / "broken", config)
    first.run(until=2)
    assert first.step == 2
    second = trainer(pairs, tmp_path / "broken", config)
    assert second.step == 2
    assert_same_bits(first.model.state_dict(), second.model.state_dict())
    second.run()

    assert second.step == whole.step == 4
    ours, theirs = tensors(second.checkpoint), tensors(whole.checkpoint)
    assert_same_bits(ours[0], theirs[0])
    logs = [json.loads(meta["log"]) for _, meta in (ours, theirs)]
    for entry in (*logs[0], *logs[1]):
        entry.pop("seconds_per_step")
    assert logs[0] == logs[1]
    assert [entry["step"] for entry in logs[0]] == [2, 4]


def test_training_moves_every_weight(unbroken, pairs, tmp_path):
    start = trainer(pairs, tmp_path).model.state_dict()
    for name, value in unbroken.model.state_dict().items():
        assert not torch.equal(value, start[name]), name


def test_a_finished_run_does_nothing_when_run_again(unbroken, pairs):
    before = unbroken.checkpoint.read_bytes()
    entries = []
    trainer(pairs, unbroken.out).run(entries.append)
    assert entries == []
    assert unbroken.checkpoint.read_bytes() == before


def test_a_run_of_another_configuration_is_not_resumed(unbroken, pairs):
    for other in (replace(CONFIG, seed=1), replace(CONFIG, network=replace(NETWORK, scgb=False))):
        with pytest.raises(
            ValueError, match=r"checkpoint\.safetensors was written with another configuration"
        ):
            trainer(pairs, unbroken.out, other)


def test_a_checkpoint_from_before_a_setting_existed_goes_on(pairs, tmp_path):
    run = trainer(pairs, tmp_path)
    run.run(until=2)
    held, meta = tensors(run.checkpoint)
    old = json.loads(meta["configuration"])
    del old["defence"]["attacked_weight"], old["precision"]
    old_meta = {name: value for name, value in meta.items() if not name.startswith("set of validation")}
    save_file(held, run.checkpoint, metadata=old_meta | {"configuration": json.dumps(old)})
    assert trainer(pairs, tmp_path).step == 2
    with pytest.raises(ValueError, match="written with another configuration"):
        trainer(pairs, tmp_path, replace(CONFIG, precision="bf16-mixed"))


def test_the_best_is_not_sought_among_weights_validated_on_other_pairs(pairs, tmp_path):
    trainer(pairs, tmp_path).run(until=2)
    other = [replace(pair, mos=1 - pair.mos) if pair.split == "validation" else pair for pair in pairs]
    with pytest.raises(ValueError, match="was written with another set of validation pairs"):
        trainer(other, tmp_path)
    trainer(pairs, tmp_path / "last", replace(CONFIG, keep="last")).run(until=2)
    assert trainer(other, tmp_path / "last", replace(CONFIG, keep="last")).step == 2


@pytest.mark.parametrize("size", [(40, 47), (40, 56), (20, 20)])
def test_validation_pairs_that_cannot_be_scored_are_told_before_the_training(pairs, tmp_path, size):
    held_out = next(pair for pair in pairs if pair.split == "validation")
    ref = load_image(held_out.ref)
    other = replace(held_out, dist=tmp_path / "other.png")
    if size == (20, 20):
        other = replace(other, ref=tmp_path / "ref.png")
        Image.fromarray(ref[:20, :20]).save(other.ref)
    Image.fromarray(np.resize(ref, (*size, 3))).save(other.dist)
    told = "each side must be at least 32" if size == (20, 20) else "differ in size or depth"
    with pytest.raises(ValueError, match=told):
        trainer([*pairs, other], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_validation_comes_when_it_is_due_whenever_checkpoints_do(pairs, tmp_path):
    run = trainer(pairs, tmp_path, replace(CONFIG, steps=7, validate_every=3, checkpoint_every=2))
    run.run()
    assert [entry["step"] for entry in run.log] == [2, 3, 4, 6, 7]
    assert [entry["step"] for entry in run.log if "srocc" in entry] == [3, 6, 7]


def test_the_running_mean_has_the_buffers_of_what_was_trained(pairs, tmp_path):
    class Normalised(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.out = torch.nn.BatchNorm2d(3), torch.nn.Linear(3, 1)

        def forward(self, dist, ref, levels=False):
            scores = torch.sigmoid(self.out(self.norm((dist - ref).abs()).mean((2, 3))))
            return scores if levels else scores[:, 0]

    parts = [[pair for pair in pairs if pair.split == split] for split in ("train", "validation")]
    run = Trainer(CONFIG, *parts, tmp_path, model=Normalised())
    run.run()
    kept, met = dict(run.average.named_buffers()), dict(run.model.named_buffers())
    assert int(kept["norm.num_batches_tracked"]) == 4
    assert_same_bits(kept, met)


def test_the_seed_alone_decides_the_first_weights(pairs, tmp_path):
    def weights(seed, folder):
        run = trainer(pairs, tmp_path / folder, replace(CONFIG, seed=seed))
        return torch.nn.utils.parameters_to_vector(run.model.parameters())

    assert torch.equal(weights(1, "a"), weights(1, "b"))
    assert not torch.equal(weights(1, "a"), weights(2, "c"))


def test_a_changed_weight_of_a_pair_is_other_data(pairs, tmp_path):
    weighted = [replace(pair, weight=2.0) if pair.ref == pairs[0].ref else pair for pair in pairs]
    trainer(weighted, tmp_path).run(until=1)
    assert trainer(weighted, tmp_path).step == 1
    other = [replace(pair, weight=3.0) if pair.ref == pairs[0].ref else pair for pair in pairs]
    for changed in (pairs, other):
        with pytest.raises(ValueError, match="was written with another set of training pairs"):
            trainer(changed, tmp_path)


def test_pairs_of_equal_weight_have_the_digest_they_always_had(pairs, tmp_path):
    train = [pair for pair in pairs if pair.split == "train"]
    rows = "".join(f"{pair.ref.name} {pair.dist.name} {pair.mos}\n" for pair in train)
    assert trainer(pairs, tmp_path).pairs_digest == hashlib.sha256(rows.encode()).hexdigest()


# Checkpoints


@pytest.mark.parametrize("left", [0, 200])
def test_a_checkpoint_that_is_cut_off_is_told_with_the_way_out(pairs, tmp_path, left):
    run = trainer(pairs, tmp_path)
    run.run(until=1)
    os.truncate(run.checkpoint, left)
    with pytest.raises(
        ValueError, match=r"checkpoint\.safetensors is .*cut off.*: delete its folder"
    ) as caught:
        trainer(pairs, tmp_path)
    assert str(run.checkpoint) in str(caught.value)


def test_best_weights_that_are_cut_off_are_told_with_the_way_out(pairs, tmp_path):
    run = trainer(pairs, tmp_path)
    run.run()
    run.best_weights.write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"best\.safetensors is empty, cut off or damaged: delete its folder"
    ):
        run.result()
    run.best_weights.unlink()
    with pytest.raises(ValueError, match=r"best\.safetensors is missing"):
        trainer(pairs, tmp_path).result()


def test_the_best_weights_of_another_run_are_not_taken_for_this_one_s(pairs, tmp_path):
    run = trainer(pairs, tmp_path)
    run.run()
    run.checkpoint.unlink()
    fresh = trainer(pairs, tmp_path, replace(CONFIG, seed=1))
    assert_same_bits(fresh.result().state_dict(), fresh.model.state_dict())


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_ino, path.exists())))
    with replacing(path) as part:
        part.write_bytes(b"new")
    assert synced == [(path.stat().st_ino, False)]


RUN_FOLDER = {
    "best.safetensors",
    "checkpoint.safetensors",
    "config.json",
    "curves.csv",
    "curves.png",
    "environment.json",
}


def test_a_run_folder_holds_configuration_environment_and_curves_and_no_partial_file(unbroken):
    assert {path.name for path in unbroken.out.iterdir()} == RUN_FOLDER
    config = json.loads((unbroken.out / "config.json").read_text())
    assert (config["seed"], config["steps"], config["network"]["widths"]) == (0, 4, [8, 16])
    environment = json.loads((unbroken.out / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__
    assert environment["processes"] == 1
    with (unbroken.out / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4]
    assert [float(row["loss"]) for row in rows] == [entry["loss"] for entry in unbroken.log]
    with Image.open(unbroken.out / "curves.png") as picture:
        assert min(picture.size) > 300


def test_a_crash_while_writing_leaves_the_last_checkpoint_usable(pairs, tmp_path, monkeypatch):
    run = trainer(pairs, tmp_path)
    run.run(until=2)
    before = run.checkpoint.read_bytes()

    def torn(tensors, path, metadata=None):
        path.write_bytes(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(birqa.training.fit, "save_file", torn)
        with pytest.raises(OSError, match="disk full"):
            run.run()
    assert run.checkpoint.read_bytes() == before
    resumed = trainer(pairs, tmp_path)
    assert resumed.step == 2
    resumed.run()
    assert {path.name for path in tmp_path.iterdir()} == RUN_FOLDER


def test_the_best_validated_weights_are_kept_and_may_be_passed_over(pairs, tmp_path, monkeypatch):
    claims = iter([0.5, 0.9, 0.7])
    monkeypatch.setattr(Trainer, "validate", lambda self: {"srocc": next(claims), "plcc": 0.0})
    config = replace(CONFIG, steps=3, validate_every=1, checkpoint_every=1)
    run = trainer(pairs, tmp_path / "best", config)
    states = []
    run.run(lambda entry: states.append({k: v.clone() for k, v in run.average.state_dict().items()}))
    assert_same_bits(run.result().state_dict(), states[1])
    assert run.best == 0.9

    claims = iter([0.5, 0.9, 0.7])
    last = trainer(pairs, tmp_path / "last", replace(config, keep="last"))
    last.run()
    assert not last.best_weights.exists()
    assert_same_bits(last.result().state_dict(), states[2])


def test_batches_read_ahead_are_the_same_batches(pairs, tmp_path):
    states = []
    for loaders in (1, 3):
        run = trainer(pairs, tmp_path / str(loaders))
        run.loaders = loaders
        run.run()
        states.append(run.model.state_dict())
    assert_same_bits(*states)


def test_a_resumed_run_remembers_the_best(pairs, tmp_path, monkeypatch):
    claims = iter([0.9, 0.5])
    monkeypatch.setattr(Trainer, "validate", lambda self: {"srocc": next(claims), "plcc": 0.0})
    config = replace(CONFIG, steps=2, validate_every=1, checkpoint_every=1)
    trainer(pairs, tmp_path, config).run(until=1)
    best = (tmp_path / "best.safetensors").read_bytes()
    trainer(pairs, tmp_path, config).run()
    assert (tmp_path / "best.safetensors").read_bytes() == best


def test_a_run_may_start_from_given_weights(pairs, tmp_path):
    start = BiRQA(NETWORK).state_dict()
    run = Trainer(CONFIG, pairs[:5], [], tmp_path, start=start)
    assert_same_bits(run.model.state_dict(), start)
    assert_same_bits(run.average.state_dict(), start)


def test_features_of_a_run_from_other_weights_follow_the_recipe_where_it_asks(save_tiny, tmp_path):
    model = save_tiny(tmp_path / "plain")
    config, _ = start_from(str(model), CONFIG)
    assert config.network == find_model(model).config
    asked = replace(CONFIG, network=replace(NETWORK, feature_floor=0.02))
    config, weights = start_from(str(model), asked)
    assert config.network == replace(find_model(model).config, feature_floor=0.02)
    assert config.start.startswith("birqa.tiny 7")
    BiRQA(config.network).load_state_dict(weights)
    floored = save_tiny(tmp_path / "floored", feature_floor=0.05)
    assert start_from(str(floored), CONFIG)[0].network.feature_floor == 0.05


def test_a_recipe_for_another_network_than_the_weights_have_is_refused(save_tiny, tmp_path):
    model = save_tiny(tmp_path / "plain")
    asked = replace(CONFIG, network=BiRQAConfig(scgb=False))
    with pytest.raises(ValueError, match=r"asks for scgb=False, but birqa\.tiny 7 .* has True: leave"):
        start_from(str(model), asked)


def test_mixed_precision_keeps_features_and_head_in_float32_and_scores_nearly_alike(pairs, tmp_path):
    scores = {}
    for precision in ("32-true", "bf16-mixed"):
        run = Trainer(replace(CONFIG, precision=precision), pairs[:15], [], tmp_path / precision)
        kinds = []
        network = run.model.network
        run.model.features.register_forward_hook(lambda m, i, o, kinds=kinds: kinds.append(o[0].dtype))
        for module in (network.fusion[0].mix, network.head[0].project):
            module.register_forward_hook(lambda m, i, o, kinds=kinds: kinds.append(o.dtype))
        batch = run.sampler(0)
        with torch.no_grad():
            scores[precision] = run.model(torch.tensor(batch.dist), torch.tensor(batch.ref))
        middle = torch.float32 if precision == "32-true" else torch.bfloat16
        assert kinds == [torch.float32, middle, torch.float32]
        run.run(until=1)
        assert np.isfinite(run.log[-1]["loss"])
    assert not torch.equal(scores["32-true"], scores["bf16-mixed"])
    torch.testing.assert_close(scores["bf16-mixed"].float(), scores["32-true"], atol=5e-3, rtol=0)


# A step


def test_a_step_follows_the_schedule_and_averages_the_weights(pairs, tmp_path):
    run = trainer(pairs, tmp_path)
    start = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.run(until=1)
    # The decay of the first step is (1 + 0) / (10 + 0), not yet .998.
    for name, mean in run.average.state_dict().items():
        torch.testing.assert_close(mean, 0.1 * start[name] + 0.9 * run.model.state_dict()[name])
    # Adam's first step moves a weight by the learning rate, whatever the gradient.
    moved = max((value - start[name]).abs().max() for name, value in run.model.state_dict().items())
    assert moved.item() == pytest.approx(learning_rate(CONFIG, 0), rel=1e-3)


def test_the_logged_loss_is_that_of_the_ratings_divided_by_the_identity_rating_and_capped(pairs, tmp_path):
    config = replace(CONFIG, identity_mos=0.7, alpha=0.5)
    run = trainer(pairs, tmp_path, config)
    batch = run.sampler(0)
    assert (batch.mos / 0.7 > 1).any()
    assert (batch.mos / 0.7 < 1).any()
    dist, ref = (torch.tensor(pictures) for pictures in (batch.dist, batch.ref))
    with torch.no_grad():
        target = torch.tensor(np.minimum(batch.mos / 0.7, 1), dtype=torch.float32)
        expected = regression_loss(run.model(dist, ref), target, 0.5).item()
    entries = []
    run.run(entries.append, until=1)
    assert entries[0]["loss"] == pytest.approx(expected, abs=1e-5)


def test_the_levels_add_the_mean_of_their_own_losses(pairs, tmp_path):
    run = trainer(pairs, tmp_path, replace(CONFIG, level_weight=0.4))
    batch = run.sampler(0)
    dist, ref, mos = (torch.tensor(part) for part in (batch.dist, batch.ref, batch.mos))
    with torch.no_grad():
        parts = run.model.explain(dist, ref)
        levels = [regression_loss(level, mos).item() for level in parts.level_score.T]
        expected = regression_loss(parts.score, mos).item() + 0.4 * np.mean(levels)
    entries = []
    run.run(entries.append, until=1)
    assert entries[0]["loss"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("better", "worse"), [(0.9, 0.7), (0.7, 0.9)])
def test_the_order_of_steps_is_asked_against_their_own_references(
    pairs, tmp_path, monkeypatch, better, worse
):
    run = trainer(pairs, tmp_path, replace(CONFIG, order_weight=1.0, order_pairs=3, order_of=("noise",)))
    batch = run.sampler(0)

    def scores(dist, ref, levels):
        assert torch.equal(dist, torch.tensor(np.concatenate([*batch.steps[1:]])))
        assert torch.equal(ref, torch.tensor(np.concatenate([batch.steps[0]] * 2)))
        return torch.tensor([better] * 3 + [worse] * 3)[:, None]

    monkeypatch.setattr(run, "forward", scores)
    assert float(run._order(batch)) == pytest.approx(max(0.0, worse - better), abs=1e-6)


def test_asking_for_order_changes_the_training(unbroken, pairs, tmp_path):
    run = trainer(pairs, tmp_path, replace(CONFIG, order_weight=1.0))
    run.run()
    assert run.log[0]["loss"] > unbroken.log[0]["loss"]
    assert not torch.equal(*(one.model.network.fusion[0].mix.weight for one in (run, unbroken)))


def test_an_order_that_cannot_be_shared_evenly_is_refused(pairs, tmp_path):
    fabric = Fabric(accelerator="cpu", devices=1)
    two = SimpleNamespace(world_size=2, device=fabric.device)
    config = replace(CONFIG, order_weight=1.0, order_pairs=3)
    parts = [[pair for pair in pairs if pair.split == split] for split in ("train", "validation")]
    with pytest.raises(ValueError, match="3 pictures whose order is asked cannot be shared evenly by 2 proc"):
        Trainer(config, *parts, tmp_path, fabric=two)


def scores_and_ratings(model, pairs):
    """Of the held-out references, without the trainer's own loading."""
    scores, held_out = [], [pair for pair in pairs if pair.split == "validation"]
    with torch.no_grad():
        for pair in held_out:
            dist, ref = (np.asarray(Image.open(path)) / np.float32(255) for path in (pair.dist, pair.ref))
            scores.append(model(*(torch.tensor(x).permute(2, 0, 1)[None] for x in (dist, ref))).item())
    return np.array(scores), np.array([pair.mos for pair in held_out])


def test_training_brings_scores_of_unseen_references_near_their_ratings(pairs, tmp_path):
    run = trainer(pairs, tmp_path, replace(CONFIG, steps=30, batch=8, learning_rate=5e-3))

    def error():
        scores, ratings = scores_and_ratings(run.average, pairs)
        return abs(scores - ratings).mean()

    before = error()
    run.run()
    assert before > 0.2
    assert error() < 0.5 * before


def test_a_loss_that_is_not_finite_stops_with_step_seed_and_remedy(pairs, tmp_path):
    run = trainer(pairs, tmp_path, replace(CONFIG, seed=7, learning_rate=1e30))
    with pytest.raises(
        FloatingPointError,
        match=r"loss is nan .*at step 1 \(seed 7\), on the batch \d-\d\.png, .*: lower the learning rate",
    ):
        run.run()
    assert not run.checkpoint.exists()
    assert all(torch.isfinite(parameter).all() for parameter in run.model.parameters())


# Validation


def test_references_shared_by_training_and_validation_are_refused(pairs, tmp_path):
    train = [pair for pair in pairs if pair.split == "train"]
    leaked = [replace(train[0], dist=train[1].dist, split="validation")]
    with pytest.raises(ValueError, match=r"1 references are in both .*0\.png: split by reference"):
        Trainer(CONFIG, train, leaked, tmp_path)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_a_reference_that_is_named_in_two_ways_is_shared_all_the_same(pairs, tmp_path):
    train = [pair for pair in pairs if pair.split == "train"]
    ref = train[0].ref
    detour = ref.parent / ".." / ref.parent.name / ref.name
    with pytest.raises(ValueError, match="1 references are in both"):
        Trainer(CONFIG, train, [replace(train[0], ref=detour, split="validation")], tmp_path)


def test_missing_pictures_are_counted_before_training(pairs, tmp_path):
    gone = [replace(pair, dist=tmp_path / f"gone-{pair.dist.name}") for pair in pairs[:2]]
    with pytest.raises(
        ValueError, match=r"^2 pictures do not exist, e\.g\. .*gone-0-0\.png: check the table"
    ):
        trainer([*pairs, *gone], tmp_path)


def test_validation_correlates_the_averaged_model_with_the_ratings(unbroken, pairs):
    model = BiRQA(NETWORK)
    model.load_state_dict(unbroken.average.state_dict())
    scores, ratings = scores_and_ratings(model, pairs)
    last = unbroken.log[-1]
    assert last["srocc"] == pytest.approx(spearmanr(scores, ratings)[0])
    assert last["plcc"] == pytest.approx(pearsonr(scores, ratings)[0], abs=1e-5)
    assert "srocc" not in unbroken.log[0]


def test_validation_is_cut_to_the_asked_number_of_pairs(pairs, tmp_path):
    run = trainer(pairs, tmp_path, replace(CONFIG, validation_pairs=3))
    assert len(run.validation) == 3
    assert {pair.split for pair in run.validation} == {"validation"}


# Recipes


def test_a_recipe_is_read_with_its_network_and_overridden_by_what_is_given(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(CONFIG.to_dict()))
    assert load_recipe(path) == CONFIG
    assert load_recipe(path, steps=9, seed=None) == replace(CONFIG, steps=9)
    assert load_recipe(None, crop=64) == TrainingConfig(crop=64)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"average_decay": 1.5}, "average_decay=1.5 should be from 0 to below 1"),
        ({"average_decay": -3}, "average_decay=-3 should be from 0 to below 1"),
        ({"border": 5}, "border=5 should be from 0 to 1"),
        ({"border": -1}, "border=-1 should be from 0 to 1"),
        ({"validation_pairs": -5}, "validation_pairs=-5 should be at least 0"),
        ({"order_weight": -1}, "order_weight=-1 should be at least 0"),
        ({"order_pairs": 0}, "order_pairs=0 should be at least 1"),
        ({"order_of": []}, r"order_of=\(\) should be a list of some of: codec, noise.*"),
        ({"order_of": "codec"}, "order_of='codec' should be a list of some of: codec, noise.*"),
        (
            {"order_of": ["codec", "hail"]},
            r"order_of=\('codec', 'hail'\) should be a list of some of: codec, noise.*",
        ),
        ({"order_of": [["codec"]]}, r"order_of=\(\['codec'\],\) should be a list of some of: codec, noise.*"),
        ({"order_weight": 1, "batch": 3}, "order_pairs=4 should be at most the batch of 3"),
        ({"batch": 1}, "batch=1 should be at least 2"),
        ({"gradient_clip": 0}, "gradient_clip=0 should be above 0"),
        ({"learning_rate": 0}, "learning_rate=0 should be above 0"),
        ({"identity_mos": 0}, "identity_mos=0 should be above 0"),
        ({"threads": -1}, "threads=-1 should be at least 0"),
        ({"threads": 1.5}, "threads=1.5 should be a whole number or null"),
        ({"seed": -1}, "seed=-1 should be at least 0"),
        ({"seed": 2**64}, r"seed=18446744073709551616 should be below 2\*\*64"),
        ({"steps": 2.5}, "steps=2.5 should be a whole number"),
        ({"steps": None}, "steps=None should be a whole number"),
        ({"crop": True}, "crop=True should be a whole number"),
        ({"alpha": "1"}, "alpha='1' should be a number"),
        ({"start": 3}, "start=3 should be text"),
        ({"defence": {"budget": "a"}}, "defence budget='a' should be a number"),
        ({"defence": {"budget": 2}}, "defence budget=2 should be above 0 and at most 1"),
        ({"defence": {"steps": 0}}, "defence steps=0 should be at least 1"),
        ({"defence": {"step": 0}}, "defence step=0 should be above 0"),
        ({"defence": {"ramp": 0.5}}, "defence ramp=0.5 should be a whole number"),
        ({"defence": {"spread": 1.5}}, "defence spread=1.5 should be from 0 to 1"),
        ({"defence": {"anchors": 1}}, "defence anchors=1 should be at least 2"),
        ({"defence": {"band": -0.5}}, "defence band=-0.5 should be above 0"),
        ({"defence": {"top": 0}}, "defence top=0 should be at least 1"),
        ({"defence": {"base_weight": -1}}, "defence base_weight=-1 should be at least 0"),
        ({"defence": {"hinge_weight": float("nan")}}, "defence hinge_weight=nan should be at least 0"),
        ({"defence": {"attacked_weight": -0.1}}, "defence attacked_weight=-0.1 should be at least 0"),
        ({"defence": {"hold_anchors": 1}}, "defence hold_anchors=1 should be true or false"),
        ({"network": {"head_width": -2}}, "head_width=-2 must be a whole number of at least 1"),
        ({"network": 3}, r".*recipe\.json: network=3 should be a JSON object"),
        ({"defence": "AAT"}, r".*recipe\.json: defence='AAT' should be a JSON object"),
    ],
)
def test_a_recipe_that_could_train_nothing_is_refused_in_one_sentence(tmp_path, values, message):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=f"^{message}.$"):
        load_recipe(path)


@pytest.mark.parametrize("recipe", sorted(RECIPES.rglob("*.json")), ids=lambda path: path.stem)
def test_the_recipes_that_are_kept_are_still_read(recipe):
    kind = recipe.name.partition(".")[0].partition("-")[0]
    if recipe.name.endswith(".card.json"):
        assert {"summary", "training_data", "limits", "to_make_it_again"} <= set(read_card(recipe))
    elif kind == "blind":
        assert read_parts(recipe, BlindRecipe()).schedule.steps > 0
    elif kind == "denoiser":
        assert read_parts(recipe, DenoiserRecipe()).schedule.steps > 0
    elif kind == "robustness":
        assert load_protocol(recipe).attacks
    else:
        assert load_recipe(recipe).steps > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"steps": 3, "depth": 1}', r"recipe\.json: unknown fields .*: depth\."),
        ('{"network": {"depth": 1}}', "unknown fields: depth"),
        ('{"steps": 3', r"recipe\.json is not valid JSON"),
    ],
)
def test_a_damaged_recipe_is_refused_with_the_reason(tmp_path, text, message):
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe(path)
