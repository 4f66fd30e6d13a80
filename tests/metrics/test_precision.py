"""Scores do not depend on what precision the program around them allows."""

import threading

import pytest
import torch

import birqa
from birqa.network.precision import without_tf32


def convolutions():
    return torch.backends.cudnn.conv.fp32_precision


newer = pytest.mark.skipif(
    not hasattr(getattr(torch.backends.cudnn, "conv", None), "fp32_precision"), reason="PyTorch before 2.9"
)


@newer
@pytest.mark.parametrize("allowed", ["tf32", "ieee", "none"])
def test_tf32_is_forbidden_inside_and_as_it_was_outside(allowed):
    before = convolutions()
    try:
        torch.backends.cudnn.conv.fp32_precision = allowed
        with without_tf32():
            assert convolutions() == "ieee"
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
            with without_tf32():
                assert convolutions() == "ieee"
            assert convolutions() == "ieee"
        assert convolutions() == allowed
    finally:
        torch.backends.cudnn.conv.fp32_precision = before


@newer
def test_threads_that_overlap_leave_everything_as_it_was():
    before, inside, leave = convolutions(), threading.Event(), threading.Event()
    seen = []

    def second():
        with without_tf32():
            inside.set()
            leave.wait(10)
            seen.append(convolutions())

    thread = threading.Thread(target=second)
    with without_tf32():
        thread.start()
        assert inside.wait(10)
    leave.set()
    thread.join()
    assert seen == ["ieee"]
    assert convolutions() == before


@newer
def test_a_program_may_use_either_way_to_set_the_precision():
    dist, ref = torch.rand(1, 3, 40, 40), torch.rand(1, 3, 40, 40)
    metric = birqa.create_metric("birqa", engine="torch")
    expected, before = metric(dist, ref), convolutions()
    try:
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        assert torch.equal(metric(dist, ref), expected)
    finally:
        torch.backends.cudnn.conv.fp32_precision = before
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32
    assert torch.equal(metric(dist, ref), expected)


@pytest.mark.parametrize("name", ["birqa", "blind"])
def test_another_default_type_changes_nothing(name):
    pictures = [torch.rand(1, 3, 40, 40) for _ in range(2 if name == "birqa" else 1)]
    expected = birqa.create_metric(name, engine="torch")(*pictures)
    torch.set_default_dtype(torch.float64)
    try:
        scores = birqa.create_metric(name, engine="torch")(*pictures)
    finally:
        torch.set_default_dtype(torch.float32)
    assert scores.dtype == torch.float32
    assert torch.allclose(scores, expected, atol=1e-6)
