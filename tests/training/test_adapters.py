"""Other metrics under the training loop."""

import types

import torch
from torch import nn

from birqa.training.adapters import Adapted, DeepFeatures, adapt_pyiqa
from birqa.training.config import Defence, TrainingConfig
from birqa.training.fit import Trainer


class _Distance(nn.Module):
    def forward(self, dist, ref):
        return (dist - ref).abs().mean((1, 2, 3), keepdim=True)


def _pictures(count=3):
    drawn = torch.rand((2, count, 3, 48, 40), generator=torch.Generator().manual_seed(0))
    return tuple(drawn)


def test_an_adapted_metric_keeps_its_order():
    dist, ref = _pictures()
    dist[1] = ref[1] + 0.1 * (dist[1] - ref[1])
    adapted = Adapted(_Distance(), larger_is_better=False)
    scores = adapted(dist, ref)
    assert scores.shape == (3,)
    assert ((scores > 0) & (scores < 1)).all()
    assert scores.argmax() == 1
    assert torch.equal(adapted(dist, ref, levels=True)[:, 0], scores)
    with torch.no_grad():
        adapted.log_slope.fill_(-3.0)
    assert adapted(dist, ref).argmax() == 1


def test_a_metric_of_pyiqa_is_trained_with_its_own_weights(monkeypatch):
    class Theirs(_Distance):
        lower_better = True

        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(2.0), requires_grad=False)

        def forward(self, dist, ref):
            return self.gain * super().forward(dist, ref)

    asked = []

    def create(name, **settings):
        asked.append((name, settings))
        return Theirs()

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("importlib.import_module", lambda name: types.SimpleNamespace(create_metric=create))
    dist, ref = _pictures()
    adapted = adapt_pyiqa("lpips")
    assert asked == [("lpips", {"as_loss": True, "loss_reduction": "none"})]
    assert torch.allclose(adapted(dist, ref), torch.sigmoid(-2 * (dist - ref).abs().mean((1, 2, 3))))
    adapted(dist, ref).sum().backward()
    assert adapted.metric.gain.grad != 0


def test_deep_features_give_one_for_equal_pictures_and_gradients_for_others():
    torch.manual_seed(0)
    module = DeepFeatures((4, 8))
    dist, ref = _pictures()
    assert torch.equal(module(ref, ref), torch.ones(3))
    dist.requires_grad_()
    scores = module(dist, ref)
    assert ((scores > 0) & (scores < 1)).all()
    scores.sum().backward()
    assert dist.grad.abs().sum() > 0


def test_the_loop_hardens_another_metric(noisy_pairs, tmp_path):
    pairs = noisy_pairs([10 * k for k in range(6)], lambda number, k: 0.95 - k / 7 - 0.01 * number, "val")
    parts = [[pair for pair in pairs if pair.split == split] for split in ("train", "val")]
    config = TrainingConfig(
        steps=30, batch=8, references_per_batch=2, crop=32, warmup=2, learning_rate=0.01, validate_every=30,
        checkpoint_every=15, keep="last", defence=Defence(kind="AAT", steps=1, anchors=3),
    )  # fmt: skip
    torch.manual_seed(0)
    trainer = Trainer(config, *parts, tmp_path / "whole", model=DeepFeatures((4, 8)))
    trainer.run()
    assert trainer.log[-1]["loss"] < trainer.log[0]["loss"]
    assert trainer.log[-1]["beyond_bound"] == 0
    # Going on after a break ends with the same weights.
    torch.manual_seed(0)
    Trainer(config, *parts, tmp_path / "broken", model=DeepFeatures((4, 8))).run(until=15)
    again = Trainer(config, *parts, tmp_path / "broken", model=DeepFeatures((4, 8)))
    again.run()
    for one, other in zip(trainer.result().parameters(), again.result().parameters(), strict=True):
        assert torch.equal(one, other)
