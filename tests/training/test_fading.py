"""Weaker forms of distorted pictures: what is shown, what is asked, and that training follows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from birqa.network.config import BiRQAConfig
from birqa.training.batches import Batch
from birqa.training.config import TrainingConfig
from birqa.training.defences import Posed
from birqa.training.fading import Faded, fade, fade_violations
from birqa.training.fit import Trainer

CONFIG = TrainingConfig(
    network=BiRQAConfig(widths=(8, 16), blocks=(1, 1), head_width=8, head_hidden=8),
    steps=40, batch=8, references_per_batch=2, crop=32, warmup=2, validate_every=40, checkpoint_every=40,
)  # fmt: skip


@pytest.fixture(scope="module")
def pairs(noisy_pairs):
    return noisy_pairs([10 * k for k in range(6)], lambda number, k: 0.95 - k / 7 - 0.01 * number, "val")


def _batch(places, seed=0):
    rng = np.random.default_rng(seed)
    dist, ref = rng.random((2, len(places), 3, 32, 32), np.float32)
    anchor = np.zeros(len(places), bool)
    batch = Batch(dist, ref, np.full(len(places), 0.5, np.float32), ("",) * len(places), anchor, places)
    clean = Posed(*(torch.from_numpy(part) for part in (dist, ref, batch.mos, anchor)))
    return batch, clean


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10**6), fades=st.integers(0, 6))
def test_faded_pictures_lie_on_the_way_to_their_reference_the_second_nearer(seed, step, fades):
    config = replace(CONFIG, seed=seed, fades=fades)
    batch, clean = _batch(np.arange(6))
    faded = fade(config, batch, step, clean)
    assert faded.chosen.tolist() == [place < fades for place in range(6)]
    assert faded.dist.shape == faded.ref.shape == (2 * fades, 3, 32, 32)
    greater, lesser = faded.strength.unbind(1)
    assert ((lesser > 0) & (lesser < greater) & (greater <= 1)).all()
    change = torch.cat([clean.dist[:fades] - clean.ref[:fades]] * 2)
    strength = torch.cat([greater, lesser])[:, None, None, None]
    torch.testing.assert_close(faded.dist - faded.ref, strength * change)


def test_what_is_shown_of_a_picture_does_not_depend_on_who_shares_the_batch():
    config = replace(CONFIG, fades=3)
    batch, clean = _batch(np.arange(6))
    whole = fade(config, batch, 5, clean).strength
    part = np.array([1, 2, 4])
    share = Batch(batch.dist[part], batch.ref[part], batch.mos[part], ("",) * 3, batch.anchor[part], part)
    posed = Posed(*(x[part] for x in (clean.dist, clean.ref, clean.target, clean.anchor)))
    assert torch.equal(fade(config, share, 5, posed).strength, whole[1:])


def test_violations_by_hand():
    """Rated .6, from .8 to .4 of its distortion: a quarter of (1 - .6)(.8 - .4) = .04 is asked for."""
    chosen = torch.tensor([False, True, True, True])
    strength = torch.tensor([[0.8, 0.4]] * 3)
    faded = Faded(chosen, strength, torch.empty(0), torch.empty(0))
    #                      rises enough, too little, falls
    scores = torch.tensor([0.70, 0.70, 0.70, 0.75, 0.71, 0.60])
    found = fade_violations(faded, scores, torch.tensor([0.1, 0.6, 0.6, 0.6]))
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.03, 0.14]))


def test_the_gradient_raises_the_weaker_and_lowers_the_stronger():
    faded = Faded(torch.tensor([True]), torch.tensor([[0.8, 0.4]]), torch.empty(0), torch.empty(0))
    scores = torch.tensor([0.7, 0.7], requires_grad=True)
    fade_violations(faded, scores, torch.tensor([0.6])).sum().backward()
    assert scores.grad.tolist() == [1, -1]


def test_the_loss_holds_the_mean_violation_of_the_first_pictures(pairs, tmp_path):
    train = [pair for pair in pairs if pair.split == "train"]
    losses = {}
    for weight in (0.0, 1.0, 3.0):
        config = replace(CONFIG, fades=4, fade_weight=weight)
        run = Trainer(config, train, [], tmp_path / str(weight))
        entries = []
        run.run(entries.append, until=1)
        losses[weight] = entries[0]["loss"]
    run = Trainer(replace(CONFIG, fades=4), train, [], tmp_path / "alone")
    batch = run.sampler(0)
    clean = Posed(*(torch.from_numpy(part) for part in (batch.dist, batch.ref, batch.mos, batch.anchor)))
    faded = fade(run.config, batch, 0, clean)
    with torch.no_grad():
        mean = fade_violations(faded, run.model(faded.dist, faded.ref), clean.target).sum() / 4
    assert mean > 0
    assert losses[1.0] - losses[0.0] == pytest.approx(mean.item(), abs=1e-5)
    assert losses[3.0] - losses[0.0] == pytest.approx(3 * mean.item(), abs=1e-5)
