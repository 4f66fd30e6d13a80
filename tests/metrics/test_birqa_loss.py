"""BiRQALoss: zero for identical pictures, a true gradient elsewhere, and frozen weights."""

import numpy as np
import pytest
import torch

import birqa
from birqa import BiRQALoss


@pytest.fixture(scope="module")
def loss():
    return BiRQALoss(reduction="none")


def planes(*pictures):
    """uint8 (H, W, 3) each -> a float tensor (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy()).float() / 255


def test_identical_pictures_cost_nothing(loss, photographs):
    pictures = planes(*photographs)
    assert torch.equal(loss(pictures, pictures.clone()), torch.zeros(3))


def test_the_loss_is_one_minus_the_score(loss, photographs, damage):
    dists = [damage("noise", picture, 15) for picture in photographs]
    scores = birqa.create_metric("birqa")(dists, photographs)
    np.testing.assert_allclose(loss(planes(*dists), planes(*photographs)), 1 - scores, rtol=0, atol=1e-4)


def test_uint8_tensors_are_taken_as_well(loss, pair):
    dist, ref = ((255 * planes(p)).round().to(torch.uint8) for p in pair)
    torch.testing.assert_close(loss(dist, ref), loss(planes(pair[0]), planes(pair[1])), rtol=0, atol=1e-6)


def test_one_reference_serves_many_pictures(loss, photographs, damage):
    dists = planes(*(damage("noise", photographs[0], sigma) for sigma in (5, 30)))
    each = loss(dists, planes(photographs[0], photographs[0]))
    torch.testing.assert_close(loss(dists, planes(photographs[0])), each, rtol=0, atol=1e-6)


def test_reductions(photographs, damage):
    dists = planes(*(damage("noise", picture, 10 + 10 * k) for k, picture in enumerate(photographs)))
    refs = planes(*photographs)
    every = BiRQALoss(reduction="none")(dists, refs)
    assert every.shape == (3,)
    assert (every > 0).all()
    torch.testing.assert_close(BiRQALoss()(dists, refs), every.mean())
    torch.testing.assert_close(BiRQALoss(reduction="mean")(dists, refs), every.mean())
    torch.testing.assert_close(BiRQALoss(reduction="sum")(dists, refs), every.sum())
    with pytest.raises(ValueError, match="use 'mean', 'sum' or 'none'"):
        BiRQALoss(reduction="median")


def test_the_gradient_is_finite_and_reaches_every_picture(loss, photographs, damage):
    dists = planes(*(damage("jpeg", picture, 20) for picture in photographs)).requires_grad_()
    loss(dists, planes(*photographs)).sum().backward()
    assert torch.isfinite(dists.grad).all()
    assert (dists.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_the_gradient_is_finite_for_flat_identical_pictures(loss, level):
    flat = torch.full((1, 3, 40, 40), level, requires_grad=True)
    loss(flat, flat.detach().clone()).sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_the_gradient_is_that_of_finite_differences_in_a_smooth_model(save_tiny, tmp_path):
    loss = BiRQALoss(save_tiny(tmp_path / "model", half=False, lbp="soft", lbp_temperature=0.2))
    loss.metric.double()
    generator = torch.Generator().manual_seed(5)
    ref = 0.3 + 0.4 * torch.rand(1, 3, 32, 32, generator=generator, dtype=torch.float64)
    dist = (ref + 0.1 * torch.rand(ref.shape, generator=generator, dtype=torch.float64)).requires_grad_()

    def damage(picture):
        # Past the checks, which convert to single precision.
        return 1 - loss.metric(picture, ref).sum()

    (gradient,) = torch.autograd.grad(damage(dist), dist)
    for _ in range(4):
        direction = torch.randn(dist.shape, generator=generator, dtype=torch.float64)
        direction /= direction.norm()
        step = 1e-5
        with torch.no_grad():
            slope = (damage(dist + step * direction) - damage(dist - step * direction)) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-3, abs=1e-7)
    # Single precision through the checks gives the same direction.
    single = dist.detach().float().requires_grad_()
    loss.metric.float()
    loss(single, ref.float()).backward()
    cosine = torch.nn.functional.cosine_similarity(single.grad.double().flatten(), gradient.flatten(), dim=0)
    assert cosine > 0.99


def test_the_weights_are_frozen(loss, pair):
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    assert before
    assert not any(parameter.requires_grad for parameter in loss.parameters())
    dist = planes(pair[0]).requires_grad_()
    loss(dist, planes(pair[1])).sum().backward()
    assert all(parameter.grad is None for parameter in loss.parameters())
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_training_mode_changes_nothing(pair):
    loss = BiRQALoss()
    dist, ref = planes(pair[0]), planes(pair[1])
    expected = loss(dist, ref)
    assert torch.equal(loss.train()(dist, ref), expected)


def test_a_few_steps_against_the_gradient_lower_the_loss_of_a_noisy_picture(loss, pair):
    ref = planes(pair[1])
    picture = planes(pair[0]).requires_grad_()
    optimiser = torch.optim.Adam([picture], lr=0.004)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        damage = loss(picture.clamp(0, 1), ref).sum()
        damage.backward()
        optimiser.step()
        losses.append(float(damage.detach()))
    assert losses[-1] < 0.8 * losses[0], losses


def test_the_loss_takes_folders_and_refuses_unknown_names(tiny_model, pair):
    expected = 1 - birqa.create_metric(tiny_model)(*pair)
    np.testing.assert_allclose(
        BiRQALoss(tiny_model)(planes(pair[0]), planes(pair[1])), expected[0], rtol=0, atol=1e-4
    )
    with pytest.raises(ValueError, match="there is no metric 'nothing'"):
        BiRQALoss("nothing")
    with pytest.raises(ValueError, match="name=None should be a metric's name"):
        BiRQALoss(None)


def test_functional_gradients_are_those_of_autograd(loss, pair):
    dist, ref = (planes(picture) for picture in pair)
    dist.requires_grad_()
    (wanted,) = torch.autograd.grad(loss(dist, ref).sum(), dist)
    torch.testing.assert_close(torch.func.grad(lambda x: loss(x, ref).sum())(dist.detach()), wanted)


@pytest.mark.parametrize(
    ("dist", "message"),
    [
        (torch.rand(1, 3, 40, 40) * 255, "divide 0..255 data by 255"),
        (torch.rand(1, 3, 40, 40) * 2 - 1, "clamp overshoot"),
        (torch.full((1, 3, 40, 40), float("nan")), r"no numbers \(NaN\)"),
        (torch.rand(0, 3, 40, 40), "holds no picture"),
        (torch.rand(3, 40, 40), "add a batch dimension"),
        (torch.rand(1, 1, 40, 40), "repeat a grey channel"),
        (torch.rand(1, 40, 40, 3), "move channels first"),
        (torch.rand(1, 3, 40, 48), "must have one size"),
        (torch.zeros(1, 3, 40, 40, dtype=torch.int64), "convert it to uint8, or to float"),
        (np.zeros((40, 40, 3), np.float32), "give both in one form"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_mend(loss, dist, message):
    with pytest.raises(ValueError, match=message):
        loss(dist, torch.rand(1, 3, 40, 40))


@pytest.mark.parametrize("cast", ["half", "bfloat16", "double"])
def test_casting_the_module_that_holds_it_changes_nothing(pair, cast):
    dist, ref = (planes(picture) for picture in pair)
    holder = torch.nn.ModuleDict({"loss": BiRQALoss()})
    before = holder["loss"](dist, ref)
    getattr(holder, cast)()
    assert torch.equal(holder["loss"](dist, ref), before)
    assert {value.dtype for value in holder.state_dict().values()} == {torch.float32}
