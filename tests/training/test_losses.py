import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from birqa.training.losses import ORDER_TEMPERATURE, plcc, regression_loss, step_order_loss

PREDICTION, TARGET = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.0, 0.0, 1.0])


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(3, 64), st.floats(-1, 1), st.floats(0.01, 10))
def test_plcc_equals_scipy(seed, count, share, scale):
    first, noise = np.random.default_rng(seed).normal(size=(2, count))
    second = scale * (share * first + noise)
    ours = plcc(torch.tensor(first), torch.tensor(second)).item()
    assert ours == pytest.approx(pearsonr(first, second)[0], abs=1e-7)


def test_plcc_in_single_precision_equals_scipy_on_close_scores_of_a_batch():
    prediction, target = np.random.default_rng(0).random((2, 32)).astype(np.float32)
    prediction = 0.9 + 0.01 * prediction
    ours = plcc(torch.tensor(prediction), torch.tensor(target)).item()
    assert ours == pytest.approx(pearsonr(prediction, target)[0], abs=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("count", [1, 2, 32])
def test_a_constant_vector_correlates_with_nothing_and_has_a_finite_gradient(level, count):
    varied = torch.linspace(0, 1, count)
    for prediction, target in [
        (torch.full((count,), level), varied),
        (varied, torch.full((count,), level)),
        (torch.full((count,), level), torch.full((count,), level)),
    ]:
        leaf = prediction.clone().requires_grad_()
        value = plcc(leaf, target)
        value.backward()
        assert value.item() == pytest.approx(0, abs=1e-4)
        assert torch.isfinite(leaf.grad).all()


def test_gradient_equals_finite_differences():
    prediction = torch.tensor([0.1, 0.7, 0.4, 0.9], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0.3, 0.5, 0.1, 0.8], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: regression_loss(x, target, 0.7), (prediction,))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_loss_worked_by_hand(alpha):
    # MSE .25 / 3; centred (-1/2, 0, 1/2) and (-1/3, -1/3, 2/3): PLCC = .5 / sqrt(1/2 * 2/3).
    hand = 0.25 / 3 + alpha * (1 - 0.5 * 3**0.5)
    assert regression_loss(PREDICTION, TARGET, alpha).item() == pytest.approx(hand, abs=1e-6)


def test_alpha_is_one_unless_given():
    assert torch.equal(regression_loss(PREDICTION, TARGET), regression_loss(PREDICTION, TARGET, 1.0))


def test_a_perfect_prediction_has_no_loss_and_an_inverted_one_pays_twice_alpha():
    assert regression_loss(TARGET, TARGET).item() == pytest.approx(0, abs=1e-6)
    assert regression_loss(1 - TARGET, TARGET).item() == pytest.approx(1 + 2, abs=1e-6)


def test_steps_far_in_order_cost_nothing_and_steps_out_of_order_what_they_are_out_by():
    scores = torch.tensor([0.9, 0.8, 0.3])
    assert step_order_loss(scores + 0.2, scores).item() == pytest.approx(0, abs=1e-6)
    assert step_order_loss(scores - 0.2, scores).item() == pytest.approx(0.2, abs=1e-6)
    tied = step_order_loss(scores, scores).item()
    assert tied == pytest.approx(ORDER_TEMPERATURE * np.log(2))
    mixed = step_order_loss(torch.tensor([0.5, 0.5]), torch.tensor([0.9, 0.1])).item()
    assert mixed == pytest.approx(0.4 / 2, abs=1e-6)
