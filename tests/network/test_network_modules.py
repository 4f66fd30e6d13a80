"""Each module against a literal re-computation of its formula in NumPy, in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from torch import nn

from birqa.network.csram import CSRAM
from birqa.network.fusion import AdaptiveFusion, Preprocess, ResidualBlock
from birqa.network.head import LevelHead
from birqa.network.pooling import Coverage
from birqa.network.scgb import SCGB


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def randomised(module):
    """Double precision with every parameter drawn anew, so that no bias or scale stays at a special value."""
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return module


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def relu(x):
    return np.maximum(x, 0)


def convolve(layer: nn.Conv2d, x):
    """Zero-padded correlation of (C, H, W), one tap of the kernel at a time."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    half = weight.shape[-1] // 2
    padded = np.pad(x, ((0, 0), (half, half), (half, half)))
    height, width = x.shape[1:]
    out = np.zeros((weight.shape[0], height, width)) + bias[:, None, None]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            out += np.einsum("oc,chw->ohw", weight[:, :, i, j], padded[:, i : i + height, j : j + width])
    return out


def dense(layer: nn.Linear, x):
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    return layer.weight.detach().numpy() @ x + bias


def halve(x):
    channels, height, width = x.shape
    return x.reshape(channels, height // 2, 2, width // 2, 2).mean((2, 4))


def double(x):
    return np.kron(x, np.ones((1, 2, 2)))


def assert_close(ours, oracle):
    np.testing.assert_allclose(ours.detach().numpy(), oracle, rtol=1e-10, atol=1e-12)


# Fusion


def preprocess_by_hand(module, x, patch, inside):
    weight, bias = module.embed.weight.detach().numpy(), module.embed.bias.detach().numpy()
    channels, height, width = x.shape
    cells = x.reshape(channels, height // patch, patch, width // patch, patch)
    hidden = relu(np.einsum("ocij,chiwj->ohw", weight, cells) + bias[:, None, None])
    return hidden * expit(convolve(module.gate, hidden * inside))


def test_preprocess_gates_each_patch_by_its_surroundings():
    module, x, inside = randomised(Preprocess(3, 4, patch=4)), rand(2, 3, 12, 16), rand(3, 4)
    ours = module(x, inside)
    for index in range(2):
        assert_close(ours[index], preprocess_by_hand(module, x[index].numpy(), 4, inside.numpy()))


def residual_by_hand(module, x, inside):
    return relu(x + convolve(module.second, inside * relu(convolve(module.first, inside * x))))


def test_residual_block_formula():
    module, x, inside = randomised(ResidualBlock(4)), rand(1, 4, 5, 6), rand(5, 6)
    assert_close(module(x, inside)[0], residual_by_hand(module, x[0].numpy(), inside.numpy()))


def test_fusion_reads_ssim_information_colour_and_lbp_apart_and_weighs_them_by_their_means():
    module, x = randomised(AdaptiveFusion(8, patch=2, squeeze=4, blocks=1)), rand(1, 7, 8, 10)
    plain = x[0].numpy()
    parts = [plain[:1], plain[1:3], plain[3:6], plain[6:]]
    # Of a picture of 6x7 pixels padded to 8x10: means and convolutions leave out what lies beyond it.
    inside = np.outer([1, 1, 1, 0], [1, 1, 1, 0.5, 0])
    joined = np.concatenate(
        [
            preprocess_by_hand(each, part, 2, inside)
            for each, part in zip(module.preprocess, parts, strict=True)
        ]
    )
    mean = (joined * inside).sum((1, 2)) / inside.sum()
    attention = expit(dense(module.excite, relu(dense(module.squeeze, mean))))
    fused = relu(convolve(module.mix, joined * attention[:, None, None]))
    hand = residual_by_hand(module.blocks[0], fused, inside)
    coverage = Coverage.of(torch.tensor([6.0, 7.0], dtype=x.dtype), 4, 5, 2)
    assert_close(module(x, coverage)[0], hand)


# Exchange between levels


def test_csram_formula():
    module, fine, coarse = randomised(CSRAM(3, 5)), rand(2, 3, 12, 16), rand(2, 5, 6, 8)
    inside = rand(6, 8)
    ours = module(fine, coarse, inside)
    inside = inside.numpy()
    for index in range(2):
        below = coarse[index].numpy()
        joined = np.concatenate([halve(fine[index].numpy()), below])
        message = relu(convolve(module.message, joined * inside))
        mask = expit(convolve(module.spatial, inside * np.stack([message.mean(0), message.max(0)])))
        message = message * mask
        normalised = message / np.sqrt(1 + (message**2).mean(0))
        strength = np.log1p(np.exp(convolve(module.strength, normalised)))
        confidence = expit(convolve(module.confidence, normalised))
        assert_close(ours.strength[index], strength)
        assert_close(ours.confidence[index], confidence)
        assert_close(ours.features[index], below + strength * confidence * convolve(module.value, message))


def test_scgb_formula_with_the_gate_enlarged_before_its_convolution():
    module, fine, coarse = randomised(SCGB(3, 5)), rand(2, 3, 12, 16), rand(2, 5, 6, 8)
    ours = module(fine, coarse)
    for index in range(2):
        above = fine[index].numpy()
        gate = expit(convolve(module.gate, double(coarse[index].numpy())))
        assert_close(ours[index], above + convolve(module.value, above * gate))


# Pooling


def test_coverage_of_a_picture_of_40_in_cells_of_32_worked_by_hand():
    cover = Coverage.of(torch.tensor([40.0, 64.0]), 2, 2, 32)
    # Rows: a whole cell and a quarter of one; columns: two whole cells.
    torch.testing.assert_close(cover.rows, torch.tensor([0.8, 0.2]))
    torch.testing.assert_close(cover.columns, torch.tensor([0.5, 0.5]))
    cells = torch.tensor([[[[1.0, 3.0], [10.0, 20.0]]]])
    torch.testing.assert_close(cover.mean(cells), torch.tensor([[0.8 * 2 + 0.2 * 15]]))


@settings(max_examples=50)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([4, 8, 32]), st.integers(0, 2))
def test_mean_over_cells_is_the_mean_over_the_pixels_of_the_picture(height, width, cell, spare):
    rows, columns = (-(-side // cell) + spare for side in (height, width))
    cells = np.random.default_rng(height * width).normal(size=(2, 3, rows, columns))
    pixels = cells.repeat(cell, axis=2).repeat(cell, axis=3)[:, :, :height, :width]
    cover = Coverage.of(torch.tensor([height, width], dtype=torch.float64), rows, columns, cell)
    assert_close(cover.mean(torch.tensor(cells)), pixels.mean((2, 3)))


# Head


def whole(rows, columns):
    return Coverage.of(torch.tensor([rows, columns], dtype=torch.float64), rows, columns, 1)


BOUND = 1.7


def head(power=3.0, reliability=True, width=6, head_width=4, hidden=5):
    module = randomised(LevelHead(width, head_width, hidden, (power, power), reliability, BOUND))
    if reliability:
        with torch.no_grad():
            module.power.fill_(power)
    return module


def test_each_channel_of_the_head_has_a_power_of_its_own():
    module = LevelHead(6, 4, 5, (1.0, 7.0), True, BOUND).double()
    assert module.power.tolist() == [1, 3, 5, 7]
    cells = torch.rand(1, 4, 3, 5).double()
    by_hand = [
        ((cells[0, channel] + 1e-4) ** power).mean() ** (1 / power) - 1e-4
        for channel, power in enumerate((1, 3, 5, 7))
    ]
    assert_close(module.pool(cells, whole(3, 5))[0], torch.stack(by_hand).detach().numpy())


def damage_by_hand(module, pooled):
    return abs(module.damage_out.detach().numpy()) @ relu(dense(module.damage_in, pooled))


@pytest.mark.parametrize("reliability", [True, False])
def test_level_head_formula(reliability):
    module, features, evidence = head(2.5, reliability), rand(1, 6, 3, 4), torch.rand(1, 1, 3, 4).double()
    cover = Coverage.of(torch.tensor([10, 16.0], dtype=torch.float64), 3, 4, 4)
    ours = module(features, evidence, cover, explain=True)

    cells = relu(convolve(module.project, features[0].numpy())) * evidence[0].numpy()
    weights = np.array([4, 4, 2])[:, None] * np.array([4, 4, 4, 4]) / 160
    if reliability:
        z = ((weights * (cells + 1e-4) ** 2.5).sum((1, 2))) ** (1 / 2.5) - 1e-4
    else:
        z = (weights * cells).sum((1, 2))
    assert_close(ours.score[0], 1 / (1 + damage_by_hand(module, z)))
    if reliability:
        unbounded = dense(module.reliability_out, relu(dense(module.reliability_in, z)))[0]
        assert_close(ours.logit[0], BOUND * np.tanh(unbounded / BOUND))
    else:
        assert ours.logit.item() == 0
    local = [[1 / (1 + damage_by_hand(module, cells[:, i, j])) for j in range(4)] for i in range(3)]
    assert_close(ours.local_score[0, 0], local)


def test_level_head_gives_no_local_scores_unless_asked():
    assert head()(rand(1, 6, 2, 2), rand(1, 1, 2, 2).abs(), whole(2, 2), explain=False).local_score is None


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(1, 8))
def test_generalised_mean_lies_between_the_mean_and_the_maximum(seed, power):
    cells = torch.tensor(np.random.default_rng(seed).random((1, 4, 3, 5)))
    pooled = head(power).pool(cells, whole(3, 5))
    assert (pooled >= cells.mean((2, 3)) - 1e-9).all()
    assert (pooled <= cells.amax((2, 3)) + 1e-9).all()


@pytest.mark.parametrize(("outside", "bound"), [(-3.0, 1.0), (0.0, 1.0), (50.0, 8.0)])
def test_generalised_mean_keeps_its_power_between_1_and_8(outside, bound):
    cells = torch.rand(1, 4, 3, 5).double()
    assert torch.equal(head(outside).pool(cells, whole(3, 5)), head(bound).pool(cells, whole(3, 5)))


def test_power_one_is_the_plain_mean():
    cells = torch.rand(2, 4, 3, 5).double()
    torch.testing.assert_close(head(1.0).pool(cells, whole(3, 5)), cells.mean((2, 3)), rtol=1e-9, atol=0)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 3.0, 6.0]))
def test_no_evidence_scores_exactly_one_whatever_the_features(seed, power):
    torch.manual_seed(seed)
    module = head(power).float()
    cover = Coverage.of(torch.tensor([7.0, 9.0]), 2, 3, 4)
    ours = module(10 * torch.randn(2, 6, 2, 3), torch.zeros(2, 1, 2, 3), cover, explain=True)
    assert torch.equal(ours.score, torch.ones(2))
    assert torch.equal(ours.local_score, torch.ones(2, 1, 2, 3))


@pytest.mark.parametrize("power", [1.0, 6.0])
def test_gradients_are_finite_where_there_is_no_evidence(power):
    module, features = head(power).float(), torch.randn(1, 6, 2, 3, requires_grad=True)
    evidence = torch.zeros(1, 1, 2, 3, requires_grad=True)
    cover = Coverage.of(torch.tensor([2.0, 3.0]), 2, 3, 1)
    ours = module(features, evidence, cover, explain=False)
    (ours.score + ours.logit).sum().backward()
    for tensor in (features, evidence, *module.parameters()):
        assert torch.isfinite(tensor.grad).all()
