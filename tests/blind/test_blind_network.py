"""The network of the no-reference metric: what it pools, what folding leaves alone, and its gradient."""

import numpy as np
import pytest
import torch

from birqa.blind.config import BlindConfig
from birqa.blind.histograms import scene_histograms
from birqa.blind.layout import scene_layout
from birqa.blind.network import Blind, Statistics


@pytest.fixture(scope="module")
def planes(scenes):
    return torch.from_numpy(np.stack(scenes[:4]).transpose(0, 3, 1, 2)).float() / 255


def test_the_statistics_are_means_and_deviations_of_every_stage(planes):
    config = BlindConfig(widths=(4, 6, 8))
    statistics = Statistics(config).eval()
    kept = []
    for stage in statistics.stages:
        stage.register_forward_hook(lambda module, given, out: kept.append(out))
    statistics.stem.register_forward_hook(lambda module, given, out: kept.append(out.relu()))
    with torch.no_grad():
        pooled = statistics(planes)
    assert pooled.shape == (4, config.learned) == (4, 36)
    assert [features.shape[2:] for features in kept] == [(32, 40), (16, 20), (8, 10)]
    expected = [
        part
        for features in kept
        for part in (features.mean((2, 3)), (features.var((2, 3), unbiased=False) + 1e-6).sqrt())
    ]
    torch.testing.assert_close(pooled, torch.cat(expected, dim=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalised", [False, True])
def test_without_widths_nothing_is_learned(planes, normalised):
    statistics = Statistics(BlindConfig(), normalised)
    assert not statistics.state_dict()
    for one in (statistics, statistics.folded()):
        pooled = one(planes)
        assert (pooled.shape, pooled.dtype) == ((4, 0), planes.dtype)


def test_folding_the_normalisation_changes_nothing(planes):
    learning = Statistics(BlindConfig(widths=(4, 6)), normalised=True)
    with torch.no_grad():
        for _ in range(3):
            learning(planes)
        for part in learning.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.uniform_(0.5, 2)
                part.bias.uniform_(-1, 1)
        learning.eval()
        before = {name: value.clone() for name, value in learning.state_dict().items()}
        plain = learning.folded()
        torch.testing.assert_close(plain(planes), learning(planes), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in plain.modules())
    assert not plain.training
    assert all(torch.equal(value, before[name]) for name, value in learning.state_dict().items())


@pytest.mark.parametrize("widths", [(), (4, 6)])
def test_a_description_is_histograms_layout_and_what_is_learned_of_the_shrunk_picture(
    tiny_blind, planes, widths
):
    module = tiny_blind(widths=widths)
    small = planes.reshape(4, 3, 32, 2, 40, 2).mean((3, 5))
    with torch.no_grad():
        described = module.describe(planes)
        parts = [scene_histograms(small), scene_layout(small), module.statistics(small)]
    assert described.shape == (4, sum(module.config.groups))
    assert [part.shape[1] for part in parts] == [2 * 1124, 16, 2 * sum(widths)]
    # Means over four pixels are rounded in another order, which the roots of small shares enlarge.
    torch.testing.assert_close(described, torch.cat(parts, dim=1), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("widths", [(), (4, 6)])
def test_scores_are_clamped_predictions(tiny_blind, planes, widths):
    module = tiny_blind(widths=widths)
    with torch.no_grad():
        plain = module.regression(module.describe(planes))
        torch.testing.assert_close(module(planes), plain)
        assert (module(planes) > 0).all()
        module.regression.bias.add_(2)
        assert torch.equal(module(planes), torch.ones(4))
        module.regression.bias.sub_(4)
        assert torch.equal(module(planes), torch.zeros(4))


@pytest.mark.parametrize("widths", [(), (4, 6)])
def test_the_gradient_is_that_of_finite_differences(tiny_blind, planes, widths):
    module = tiny_blind(widths=widths).double()
    picture = planes[:1, :, :32, :40].double().requires_grad_()
    (gradient,) = torch.autograd.grad(module(picture).sum(), picture)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        direction = torch.randn(picture.shape, generator=generator, dtype=torch.float64)
        direction /= direction.norm()
        step = 1e-6
        with torch.no_grad():
            slope = (module(picture + step * direction) - module(picture - step * direction)) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-2, abs=1e-6)


@pytest.mark.parametrize("widths", [(), (4, 6)])
def test_an_unfitted_metric_scores_all_pictures_alike(widths):
    scores = Blind(BlindConfig(widths=widths)).eval()(torch.rand(3, 3, 32, 32))
    assert torch.equal(scores, torch.zeros(3))
