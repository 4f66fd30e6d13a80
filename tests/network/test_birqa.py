import shutil
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from birqa.network.birqa import BiRQA, Network, pad_to_multiple, shrunk
from birqa.network.config import BiRQAConfig
from birqa.pyramid import HALO

SMALL = BiRQAConfig(widths=(8, 16, 16, 16), head_width=8, head_hidden=8)
SEEDS = st.integers(0, 2**32 - 1)
SWITCHES = ("csram", "scgb", "reliability_head")
ABLATIONS = [dict(zip(SWITCHES, on, strict=True)) for on in product([True, False], repeat=3)]
NAMES = [" ".join(name for name in SWITCHES if on[name]) or "none" for on in ABLATIONS]


def fresh(config=SMALL, seed=0):
    torch.manual_seed(seed)
    return BiRQA(config)


def randomised(config=SMALL, seed=0, scale=0.2):
    """Weights as after training: every parameter moved, biases too."""
    model = fresh(config, seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
    return model


def picture(seed=0, count=1, height=40, width=56):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def noisy(image, strength=0.1, seed=99):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return (image + strength * noise).clamp(0, 1)


def any_picture(rng, height, width):
    """Noise, black and white, flat (all of it, or split in two), as (1, 3, H, W)."""
    kind = rng.integers(4)
    image = rng.random((1, 3, height, width))
    if kind == 1:
        image = np.round(image)
    if kind == 2:
        image[:] = rng.choice([0, 0.5, 1, rng.random()])
    if kind == 3:
        image[..., : width // 2] = rng.random((1, 3, 1, 1))
        image[..., width // 2 :] = rng.random((1, 3, 1, 1))
    return torch.tensor(image, dtype=torch.float32)


def test_default_network_stays_within_the_5_5_million_parameters_of_the_paper():
    assert sum(parameter.numel() for parameter in BiRQA().parameters()) <= 5_500_000


# The range of the score


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 32), (97, 65)])
@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_identical_pictures_score_exactly_one_before_training(size, seed):
    both = picture(seed, 2, *size)
    assert torch.equal(fresh(seed=seed)(both, both.clone()), torch.ones(2))


@pytest.mark.parametrize("seed", range(2))
@torch.no_grad()
def test_identical_pictures_score_exactly_one_with_the_default_network(seed):
    both = picture(seed, 1, 33, 47)
    assert fresh(BiRQAConfig(), seed)(both, both.clone()).item() == 1


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@torch.no_grad()
def test_identical_flat_pictures_score_exactly_one(value):
    both = torch.full((1, 3, 45, 38), value)
    assert fresh()(both, both.clone()).item() == 1


@torch.no_grad()
def test_identical_pictures_score_exactly_one_with_trained_weights():
    both = picture(0, 1, 33, 47)
    assert {randomised(seed=seed)(both, both.clone()).item() for seed in range(30)} == {1.0}


@settings(max_examples=30)
@given(SEEDS, st.integers(32, 70), st.integers(32, 70))
@torch.no_grad()
def test_identical_pictures_score_one_up_to_rounding_with_random_weights(seed, height, width):
    both = any_picture(np.random.default_rng(seed), height, width)
    model = randomised(seed=seed)
    assert model(both, both.clone()).item() == pytest.approx(1, abs=3e-7)
    assert torch.equal(model.explain(both, both.clone()).level_score, torch.ones(1, 4))


@settings(max_examples=60)
@given(SEEDS, st.integers(32, 70), st.integers(32, 70), st.sampled_from([0.0, 0.2, 0.3]))
@torch.no_grad()
def test_no_pair_scores_outside_the_unit_range_with_random_weights(seed, height, width, scale):
    rng = np.random.default_rng(seed)
    dist, ref = any_picture(rng, height, width), any_picture(rng, height, width)
    model = randomised(seed=seed, scale=scale)
    parts = model.explain(dist, ref)
    for part in (parts.score, parts.level_score, parts.quality):
        assert part.min() >= 0
        assert part.max() <= 1


@torch.no_grad()
def test_different_pictures_score_below_one():
    ref = picture(1, 3)
    assert (fresh()(noisy(ref), ref) < 0.999).all()


@torch.no_grad()
def test_a_change_of_one_grey_level_in_one_pixel_scores_below_one():
    ref = picture(2) * 0.9
    dist = ref.double().clone()
    dist[0, :, 20, 20] += 1 / 255
    assert fresh().double()(dist, ref.double()).item() < 1


# Gradients


@pytest.mark.parametrize(
    ("dist", "ref"),
    [
        (torch.zeros(1, 3, 33, 47), torch.zeros(1, 3, 33, 47)),
        (torch.ones(1, 3, 33, 47), torch.ones(1, 3, 33, 47)),
        (torch.full((1, 3, 33, 47), 0.4), torch.full((1, 3, 33, 47), 0.6)),
        (torch.zeros(1, 3, 33, 47), torch.ones(1, 3, 33, 47)),
        (picture(3), picture(3)),
        (picture(3), picture(4)),
    ],
    ids=["black", "white", "flat", "black on white", "identical", "different"],
)
@pytest.mark.parametrize("lbp", ["hard", "straight-through"])
def test_gradients_are_finite_for_the_picture_and_every_weight(dist, ref, lbp):
    model, dist = randomised(replace(SMALL, lbp=lbp)), dist.clone().requires_grad_()
    model(dist, ref).sum().backward()
    assert torch.isfinite(dist.grad).all()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


def test_gradient_reaches_the_picture_and_agrees_with_finite_differences():
    model = randomised(replace(SMALL, lbp="soft", lbp_temperature=0.2)).double()
    ref = picture(5, 1, 32, 32).double()
    dist = noisy(ref.float()).double().requires_grad_()
    (gradient,) = torch.autograd.grad(model(dist, ref).sum(), dist)
    direction = gradient / gradient.norm()
    step = 1e-5
    with torch.no_grad():
        slope = (model(dist + step * direction, ref) - model(dist - step * direction, ref)) / (2 * step)
    assert gradient.norm() > 1e-4
    assert slope.item() == pytest.approx(gradient.norm().item(), rel=1e-3)


# Batches


@torch.no_grad()
def test_a_batch_scores_as_its_pictures_alone_and_in_any_order():
    model, ref = randomised(), picture(6, 4)
    dist = torch.cat([noisy(ref[i : i + 1], 0.05 * i, seed=i) for i in range(4)])
    together = model(dist, ref)
    alone = torch.cat([model(dist[i : i + 1], ref[i : i + 1]) for i in range(4)])
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(model(dist[order], ref[order]), together[order], rtol=0, atol=1e-6)
    assert together.std() > 0.01


# The parts of the score


@torch.no_grad()
def explained(config=SMALL, height=70, width=50):
    model, ref = randomised(config, seed=1), picture(7, 3, height, width)
    dist = noisy(ref, 0.05)
    return model(dist, ref), model.explain(dist, ref)


def test_explained_score_is_the_reliability_weighted_sum_and_equals_the_plain_one():
    plain, parts = explained()
    assert torch.equal(parts.score, plain)
    torch.testing.assert_close(parts.score, (parts.reliability * parts.level_score).sum(1))
    torch.testing.assert_close(parts.reliability.sum(1), torch.ones(3))
    assert (parts.reliability > 0).all()
    assert parts.level_score.shape == parts.reliability.shape == (3, 4)


def test_explanation_grids_cover_the_padded_picture_at_each_level():
    # 70 x 50 is padded to 96 x 64; cells are 4 pixels wide on the finest level.
    _, parts = explained()
    assert parts.quality.shape == (3, 1, 24, 16)
    for maps in (parts.strength, parts.confidence):
        assert [tuple(each.shape) for each in maps] == [(3, 1, 12, 8), (3, 1, 6, 4), (3, 1, 3, 2)]


def test_strength_confidence_and_quality_lie_in_their_ranges():
    _, parts = explained()
    assert all((strength >= 0).all() for strength in parts.strength)
    assert all(((confidence > 0) & (confidence < 1)).all() for confidence in parts.confidence)
    assert ((parts.quality > 0) & (parts.quality <= 1)).all()


@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_quality_falls_at_a_local_damage_and_is_one_far_from_it(seed):
    ref = 0.2 + 0.5 * picture(seed, 1, 192, 192)
    dist = ref.clone()
    dist[..., :16, :16] = picture(seed + 50, 1, 16, 16)
    quality = fresh(seed=seed).explain(dist, ref).quality[0, 0]
    # Damage and SSIM window touch the first 21 pixels: one cell of 32, bilinearly spread over half another.
    torch.testing.assert_close(quality[12:], torch.ones(36, 48), rtol=0, atol=1e-6)
    torch.testing.assert_close(quality[:, 12:], torch.ones(48, 36), rtol=0, atol=1e-6)
    assert quality[:4, :4].max() < 0.99


@torch.no_grad()
def test_the_levels_beside_the_score_are_those_of_the_explanation():
    model, dist, ref = randomised(seed=4), picture(0, 2), picture(1, 2)
    beside, parts = model(dist, ref, levels=True), model.explain(dist, ref)
    torch.testing.assert_close(beside[:, 0], model(dist, ref))
    torch.testing.assert_close(beside[:, 1:], parts.level_score)


def test_evidence_formula_and_its_pyramid():
    network = randomised(seed=2).double().network
    maps = torch.randn(1, 7, 32, 64, dtype=torch.float64)
    maps[:, 6] = maps[:, 6].abs()
    cells = maps[0].numpy().reshape(7, 8, 4, 16, 4)
    damage = np.maximum(cells[0].mean((1, 3)), 0) + cells[6].mean((1, 3))
    damage = damage + 10 * (cells[3:6] ** 2).sum(0).mean((1, 3))
    for level, evidence in enumerate(network.evidence(maps)):
        side = 2**level
        coarse = damage.reshape(8 // side, side, 16 // side, side).mean((1, 3))
        half = np.exp(network.evidence_scale[level].item())
        np.testing.assert_allclose(evidence[0, 0].detach().numpy(), coarse / (coarse + half), rtol=1e-10)


def test_all_fine_to_coarse_exchanges_come_before_all_coarse_to_fine_ones():
    model, order, outputs = fresh(), [], {}

    def record(name):
        def hook(module, inputs, output):
            order.append(name)
            outputs[name] = (inputs, output)

        return hook

    for kind in ("csram", "scgb"):
        for level, module in enumerate(getattr(model.network, kind)):
            module.register_forward_hook(record(f"{kind}{level}"))
    with torch.no_grad():
        model(picture(8), picture(9))
    assert order == ["csram0", "csram1", "csram2", "scgb2", "scgb1", "scgb0"]
    for level in (1, 2):
        assert outputs[f"csram{level}"][0][0] is outputs[f"csram{level - 1}"][1].features
        assert outputs[f"scgb{level - 1}"][0][1] is outputs[f"scgb{level}"][1]
    assert outputs["scgb2"][0][1] is outputs["csram2"][1].features


@torch.no_grad()
def test_exchanges_start_near_the_identity():
    torch.manual_seed(3)
    network = Network(BiRQAConfig())
    fine, coarse = torch.rand(1, 32, 16, 16), torch.rand(1, 64, 8, 8)
    lifted = network.csram[0](fine, coarse, torch.ones(8, 8)).features
    gated = network.scgb[0](fine, coarse)
    assert (lifted - coarse).norm() < 0.2 * coarse.norm()
    assert (gated - fine).norm() < 0.2 * fine.norm()
    assert not torch.equal(lifted, coarse)
    assert not torch.equal(gated, fine)


# Ablations


@pytest.mark.parametrize("on", ABLATIONS, ids=NAMES)
@torch.no_grad()
def test_every_ablation_runs_explains_itself_and_keeps_identity(on):
    config = replace(SMALL, **on)
    plain, parts = explained(config)
    assert ((plain > 0) & (plain < 1)).all()
    torch.testing.assert_close(plain, parts.score)
    assert len(parts.strength) == len(parts.confidence) == (3 if on["csram"] else 0)
    both = picture(10)
    assert fresh(config)(both, both.clone()).item() == 1


@pytest.mark.parametrize("on", ABLATIONS[1:], ids=NAMES[1:])
def test_a_part_switched_off_holds_no_parameters(on):
    full = dict(fresh().named_parameters())
    names = {"csram": [".csram."], "scgb": [".scgb."], "reliability_head": [".power", ".reliability_"]}
    parts = [part for switch in SWITCHES if not on[switch] for part in names[switch]]
    gone = {name for name in full if any(part in name for part in parts)}
    assert gone
    assert dict(fresh(replace(SMALL, **on)).named_parameters()).keys() == full.keys() - gone


@pytest.mark.parametrize("switch", ["csram", "scgb", "reliability_head"])
@torch.no_grad()
def test_each_part_takes_part_in_the_score(switch):
    full = randomised(seed=4)
    ablated = BiRQA(replace(SMALL, **{switch: False}))
    weights = full.state_dict()
    ablated.load_state_dict({name: weights[name] for name in ablated.state_dict()})
    ref = picture(11)
    assert abs(full(noisy(ref), ref) - ablated(noisy(ref), ref)).item() > 1e-5


def test_without_the_reliability_head_all_levels_count_alike():
    plain, parts = explained(replace(SMALL, reliability_head=False))
    assert torch.equal(parts.reliability, torch.full((3, 4), 0.25))
    torch.testing.assert_close(plain, parts.level_score.mean(1))
    _, weighted = explained(SMALL)
    assert weighted.reliability.std() > 0.01


# Padding


@pytest.mark.parametrize("size", [(32, 64), (33, 47), (1, 1), (63, 96)])
def test_pictures_are_mirrored_down_and_right_to_the_multiple_then_edges_repeated_by_the_halo(size):
    image = picture(12, 2, *size)
    below, right = ((-side) % 32 for side in size)
    whole = np.pad(image.numpy(), ((0, 0), (0, 0), (0, below), (0, right)), mode="reflect")
    by_hand = np.pad(whole, ((0, 0), (0, 0), (HALO, HALO), (HALO, HALO)), mode="edge")
    np.testing.assert_array_equal(pad_to_multiple(image, 32).numpy(), by_hand)


@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_whole_patches_beyond_the_picture_change_nothing(seed):
    model, ref = fresh(seed=seed), picture(seed, 1, 64, 64)
    dist = noisy(ref)
    # The edges that padding repeats are undamaged, so counting them would raise the score.
    dist[..., 56:, :] = ref[..., 56:, :]
    dist[..., 56:] = ref[..., 56:]

    def damage(spare, side):
        padded = [F.pad(image, (5, 5 + spare, 5, 5 + spare), mode="replicate") for image in (dist, ref)]
        return 1 - model.network(model.features(*padded), torch.tensor([side, side])).item()

    plain = 1 - model(dist, ref).item()
    assert damage(0, 64.0) == plain
    assert damage(64, 64.0) == pytest.approx(plain, rel=1e-4)
    assert damage(64, 128.0) < 0.85 * damage(64, 64.0)


@torch.no_grad()
def test_one_row_more_than_a_multiple_hardly_changes_the_score():
    model, ref = fresh(), picture(13, 1, 65, 65)
    dist = noisy(ref)
    shorter = model(dist[..., :64, :64], ref[..., :64, :64])
    assert model(dist, ref).item() == pytest.approx(shorter.item(), abs=0.005)


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_the_preparation_can_be_compiled():
    """What torch.compile once failed at, forwards and backwards; the whole network would take it a minute."""

    def prepared(picture):
        return pad_to_multiple(shrunk(picture, 2, (1, 0)), 16)

    picture = torch.rand(1, 3, 41, 46, requires_grad=True)
    plain, compiled = (one(picture) for one in (prepared, torch.compile(prepared)))
    torch.testing.assert_close(compiled, plain)
    weights = torch.rand_like(plain)
    (wanted,), (slope,) = (torch.autograd.grad((one * weights).sum(), picture) for one in (plain, compiled))
    torch.testing.assert_close(slope, wanted)
