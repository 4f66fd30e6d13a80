"""Adversarial training: what is attacked, with which labels, and the bound measured as it trains."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest, uniform
from skimage.metrics import structural_similarity

from birqa.network.config import BiRQAConfig
from birqa.training.batches import AnchoredSampler, BatchSampler
from birqa.training.config import Defence, TrainingConfig, load_recipe
from birqa.training.defences import Posed, budget_share, lowered_labels, pose
from birqa.training.fit import Trainer

CONFIG = TrainingConfig(
    network=BiRQAConfig(widths=(8, 16), blocks=(1, 1), head_width=8, head_hidden=8),
    steps=4, batch=8, references_per_batch=2, crop=32, warmup=2, validate_every=4, checkpoint_every=2,
    defence=Defence(kind="AAT", budget=4 / 255, steps=2, step=2 / 255, anchors=3),
)  # fmt: skip


@pytest.fixture(scope="module")
def pairs(noisy_pairs):
    """Four references with six strengths of noise; the rating falls with the strength."""
    return noisy_pairs([10 * k for k in range(6)], lambda number, k: 0.95 - k / 7 - 0.01 * number, "val")


def _trainer(pairs, out, config):
    return Trainer(
        config,
        [pair for pair in pairs if pair.split == "train"],
        [pair for pair in pairs if pair.split == "val"],
        out,
    )


def _metric(dist, ref):
    return 1 - (dist - ref).abs().mean((1, 2, 3))


def _posed(pairs, kind, **more):
    config = replace(CONFIG, defence=replace(CONFIG.defence, kind=kind, **more))
    train = [pair for pair in pairs if pair.split == "train"]
    sampler = (
        AnchoredSampler(train, 8, 3, 0.5, 32, 0)
        if kind in ("AAT", "AT-anchors")
        else BatchSampler(train, 8, 2, 32, 0)
    )
    batch = sampler(0)
    clean = Posed(*(torch.from_numpy(part) for part in (batch.dist, batch.ref, batch.mos, batch.anchor)))
    return clean, pose(config, _metric, batch, 0, clean)


def test_without_a_defence_nothing_changes(pairs):
    clean, posed = _posed(pairs, "none")
    assert posed is clean


def test_aat_attacks_all_but_the_anchors_and_keeps_the_labels(pairs):
    clean, posed = _posed(pairs, "AAT")
    assert clean.anchor.tolist() == [True] * 3 + [False] * 5
    change = (posed.dist - clean.dist).abs().amax((1, 2, 3))
    assert (change[:3] == 0).all()
    assert (change[3:] > 0).all()
    assert change.max() <= 4 / 255 + 1e-6
    assert torch.equal(posed.target, clean.target)
    inner, anchors = clean.target[3:], clean.target[:3]
    assert anchors.min() <= inner.min()
    assert inner.max() <= anchors.max()


def test_a_ramp_begins_with_a_share_of_the_budget(pairs):
    clean, posed = _posed(pairs, "AAT", ramp=4)
    change = (posed.dist - clean.dist).abs().amax((1, 2, 3))[3:]
    assert change.max() <= 1 / 255 + 1e-6
    assert change.max() > 0.5 / 255
    with pytest.raises(ValueError, match="ramp=-1"):
        Defence(kind="AAT", ramp=-1)


def test_budgets_spread_evenly_from_the_least_to_the_whole():
    config = replace(CONFIG, defence=replace(CONFIG.defence, spread=0.75))
    shares = [budget_share(config, step) for step in range(2000)]
    assert kstest(shares, uniform(0.25, 0.75).cdf).pvalue > 0.01
    assert shares == [budget_share(config, step) for step in range(2000)]


def test_r_attacks_everything_and_keeps_the_labels(pairs):
    clean, posed = _posed(pairs, "R")
    assert ((posed.dist - clean.dist).abs().amax((1, 2, 3)) > 0).all()
    assert torch.equal(posed.target, clean.target)


def test_at_adds_attacked_pictures_with_labels_lowered_by_ssim(pairs):
    clean, posed = _posed(pairs, "AT")
    assert len(posed.dist) == 16
    assert torch.equal(posed.dist[:8], clean.dist)
    assert torch.equal(posed.target[:8], clean.target)
    weights = np.array([0.299, 0.587, 0.114])
    for index in range(8):
        before, after = (
            np.tensordot(weights, pictures[index].numpy(), 1) for pictures in (clean.dist, posed.dist[8:])
        )
        similarity = structural_similarity(
            before, after, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        expected = max(0.0, float(clean.target[index]) - (1 - similarity))
        assert float(posed.target[8 + index]) == pytest.approx(expected, abs=0.02)
    assert (posed.target[8:] < clean.target).all()


def test_the_control_has_the_anchors_of_aat_and_the_labels_of_at(pairs):
    clean, posed = _posed(pairs, "AT-anchors")
    assert torch.equal(posed.dist[:3], clean.dist[:3])
    assert torch.equal(posed.target[:3], clean.target[:3])
    assert (posed.target[3:] < clean.target[3:]).all()


@pytest.mark.parametrize(("direction", "sign"), [("up", 1), ("down", -1)])
def test_the_inner_attack_goes_where_it_is_told(pairs, direction, sign):
    clean, posed = _posed(pairs, "R", direction=direction, steps=6)
    moved = _metric(posed.dist, clean.ref) - _metric(clean.dist, clean.ref)
    # A picture that equals its reference cannot score higher.
    assert (sign * moved[_metric(clean.dist, clean.ref) < 0.99] > 0).all()


def test_inward_pushes_good_pictures_down_and_bad_ones_up(pairs):
    clean, posed = _posed(pairs, "R", direction="inward", steps=6)
    moved = _metric(posed.dist, clean.ref) - _metric(clean.dist, clean.ref)
    good = clean.target > 0.5
    assert 0 < good.sum() < len(good)
    assert (moved[good] < 0).all()
    assert (moved[~good] > 0).all()


def test_labels_never_fall_below_zero():
    noise = torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    assert lowered_labels(noise, 1 - noise, torch.tensor([0.1])).tolist() == [0.0]


@pytest.mark.parametrize("kind", ["R", "AT", "AT-anchors", "AAT"])
def test_every_defence_trains_and_resumes_exactly(pairs, tmp_path, kind):
    config = replace(CONFIG, defence=replace(CONFIG.defence, kind=kind))
    whole = _trainer(pairs, tmp_path / "whole", config)
    whole.run()
    broken = _trainer(pairs, tmp_path / "broken", config)
    broken.run(until=2)
    resumed = _trainer(pairs, tmp_path / "broken", config)
    resumed.run()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    for entry in whole.log:
        assert ("bound" in entry) == ("widened" in entry) == (kind == "AAT")
        if kind == "AAT":
            assert entry["beyond_bound"] == 0
            assert entry["worst"] <= entry["bound"]
            assert entry["eps"] > 0


def test_labels_of_attacked_pictures_count_where_they_are_given_a_weight(pairs, tmp_path):
    """Anchors at their ratings and the rest off by .02 but between them: only their labels can object."""
    target = torch.tensor([0.2, 0.5, 0.8, 0.3, 0.4, 0.6, 0.7])
    anchor = torch.tensor([True] * 3 + [False] * 4)
    scores = torch.where(anchor, target, target + torch.tensor([0.02, -0.02, 0.02, -0.02, 0.02, -0.02, 0.02]))
    losses = []
    for weight in (0.0, 1.0, 2.0):
        defence = replace(CONFIG.defence, attacked_weight=weight)
        run = _trainer(pairs, tmp_path / str(weight), replace(CONFIG, mse_weight=100.0, defence=defence))
        losses.append(float(run._loss(scores[:, None], target, anchor)))
    assert losses[0] == pytest.approx(0, abs=1e-6)
    expected = 100 * 0.02**2 + 1 - np.corrcoef(scores[3:], target[3:])[0, 1]
    assert losses[1:] == pytest.approx([expected, 2 * expected], rel=1e-4)


def test_the_log_tells_how_much_bands_were_widened_on_the_scale_of_scores(pairs, tmp_path):
    defence = replace(CONFIG.defence, band=0.1)
    run = _trainer(pairs, tmp_path, replace(CONFIG, identity_mos=0.95, defence=defence))
    run.run()
    for entry, steps in zip(run.log, [(0, 1), (2, 3)], strict=True):
        widths = [np.ptp(run.sampler(step).mos) / 0.95 - 0.1 for step in steps]
        assert min(widths) > 0
        assert entry["widened"] == pytest.approx(np.mean(widths), abs=1e-6)
    with (tmp_path / "curves.csv").open() as file:
        assert [float(row["widened"]) for row in csv.DictReader(file)] == [x["widened"] for x in run.log]


def test_a_run_from_before_widths_were_logged_goes_on(pairs, tmp_path):
    run = _trainer(pairs, tmp_path, CONFIG)
    run.run(until=2)
    del run.log[0]["widened"]
    run.save_checkpoint()
    run_again = _trainer(pairs, tmp_path, CONFIG)
    run_again.run()
    with (tmp_path / "curves.csv").open() as file:
        first, second = csv.DictReader(file)
    assert first["widened"] == ""
    assert float(second["widened"]) == run_again.log[1]["widened"]


def test_a_recipe_names_the_defence(tmp_path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"defence": {"kind": "AAT", "anchors": 8}}')
    assert load_recipe(recipe).defence == Defence(kind="AAT", anchors=8)
    recipe.write_text('{"defence": {"kind": "AAT", "anchor": 8}}')
    with pytest.raises(ValueError, match="unknown fields of the defence: anchor"):
        load_recipe(recipe)
    with pytest.raises(ValueError, match="should be none, R, AT, AT-anchors or AAT"):
        Defence(kind="ATT")  # type: ignore[arg-type]
