"""Purifiers: what each does to pictures, and metrics behind them."""

import pytest
import torch
from scipy.ndimage import gaussian_filter, rotate

from birqa.attacks import create_attack
from birqa.attacks.subjects import Subject
from birqa.registry import find_model
from birqa.robustness.purification import DRAWS, PURIFIERS, blur, crop, flip, jpeg, purified, resize
from birqa.robustness.purification import rotate as rotate_both


def _pictures(count=6, height=48, width=64):
    drawn = torch.rand((2, count, 3, height, width), generator=torch.Generator().manual_seed(3)).numpy()
    return tuple(torch.from_numpy(gaussian_filter(one, (0, 0, 2, 2))) for one in drawn)


@pytest.mark.parametrize("name", PURIFIERS)
def test_a_file_has_one_score_and_equal_pictures_stay_equal(name):
    dist, _ = _pictures()
    purify = PURIFIERS[name]
    first, second = purify(dist, dist), purify(dist, dist)
    assert torch.equal(first[0], first[1])
    assert torch.equal(first[0], second[0])
    assert first[0].min() >= 0
    assert first[0].max() <= 1


@pytest.mark.parametrize("name", PURIFIERS)
def test_gradients_flow(name):
    dist, ref = _pictures(2)
    dist.requires_grad_()
    PURIFIERS[name](dist, ref)[0].square().sum().backward()
    assert (dist.grad != 0).float().mean() > 0.5


def test_flip_turns_some_and_both_alike():
    dist, ref = _pictures(12)
    flipped, flipped_ref = flip(dist, ref)
    turned = [torch.equal(one, other.flip(-1)) for one, other in zip(flipped, dist, strict=True)]
    assert 0 < sum(turned) < 12
    for index, was in enumerate(turned):
        assert torch.equal(flipped_ref[index], ref[index].flip(-1) if was else ref[index])


def test_rotation_is_scipy_s_for_some_angle():
    dist, ref = _pictures(1, 64, 64)
    turned, _ = rotate_both(dist, ref)
    inner = (slice(None), slice(16, 48), slice(16, 48))
    misses = [
        abs(
            rotate(dist[0].numpy(), angle, axes=(1, 2), reshape=False, order=1)[inner]
            - turned[0][inner].numpy()
        ).mean()
        for angle in torch.arange(-15, 15.1, 0.25).tolist()
    ]
    assert min(misses) < 0.003
    assert max(misses) > 5 * min(misses)


def test_crop_blur_and_resize_by_hand():
    dist, ref = _pictures()
    cut, cut_ref = crop(dist, ref)
    assert cut.shape[-2:] == (42, 56)
    difference = dist - ref
    # The same window of both.
    windows = difference[0].unfold(1, 42, 1).unfold(2, 56, 1)
    assert any(
        torch.equal(windows[:, top, left], cut[0] - cut_ref[0])
        for top in range(windows.shape[1])
        for left in range(windows.shape[2])
    )
    spot = torch.zeros(1, 3, 9, 9)
    spot[..., 4, 4] = 1
    spread = blur(spot, spot)[0][0, 0]
    assert spread[3:6, 3:6].flatten().tolist() == [x / 16 for x in (1, 2, 1, 2, 4, 2, 1, 2, 1)]
    assert resize(dist, ref)[0].shape[-2:] == (24, 32)


def test_jpeg_takes_fine_noise_away():
    dist, _ = _pictures()
    noisy = (dist + 0.1 * torch.randn(dist.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    washed, _ = jpeg(noisy, dist)
    assert (washed - dist).square().mean() < 0.5 * (noisy - dist).square().mean()


def test_a_metric_behind_a_purifier_can_be_attacked_through_it_or_bare():
    metric = lambda dist, ref: -(dist - ref).abs().mean((1, 2, 3))  # noqa: E731
    subject = purified(Subject("own", "1", metric, {"plain": metric}), "resize")
    dist, ref = _pictures()
    assert torch.equal(subject.metric(dist, ref), metric(*resize(dist, ref)))
    assert torch.equal(subject.surrogates["plain"](dist, ref), subject.metric(dist, ref))
    assert subject.surrogates["bare plain"] is metric
    assert subject.name == "own + resize"
    with pytest.raises(ValueError, match="no purifier 'soap'; choose from flip"):
        purified(subject, "soap")


def test_an_attacker_meets_the_mean_of_draws_that_differ():
    left = lambda dist, ref: dist[..., :32].mean((1, 2, 3))  # noqa: E731
    subject = purified(Subject("own", "1", left, {"plain": left}), "flip")
    dist, ref = _pictures(12)
    each = torch.stack([left(*flip(dist, ref, draw)) for draw in range(DRAWS)])
    assert torch.equal(subject.surrogates["plain"](dist, ref), each.mean(0))
    assert torch.equal(subject.metric(dist, ref), each[0])
    # Of four coins most fall on both sides.
    assert (each.std(0) > 0).float().mean() > 0.5


def test_the_mean_of_draws_attacks_better_than_the_draw_at_hand():
    left = lambda dist, ref: dist[..., :32].mean((1, 2, 3))  # noqa: E731
    behind = purified(Subject("own", "1", left, {"plain": left}), "flip")
    dist, ref = (picture.clamp(0.1, 0.9) for picture in _pictures(64, 32, 64))
    fgsm = create_attack("fgsm")

    def gained(surrogate):
        (attacked,) = fgsm(surrogate, dist, ref, [8 / 255])
        # One more change draws anew: an attacker cannot keep the draw that was followed.
        again = left(*flip(attacked, ref, DRAWS)) - left(*flip(dist, ref, DRAWS))
        return float(again.mean())

    assert gained(behind.surrogates["plain"]) > 1.5 * gained(behind.metric)


def test_scores_behind_a_denoiser_are_told_by_its_version():
    subject = Subject("own", "1", lambda dist, ref: dist.mean((1, 2, 3)))
    denoiser = find_model("denoiser.blind", "denoiser")
    behind = purified(subject, "denoise")
    assert behind.version == f"1, denoiser.blind {denoiser.version}"
    assert behind.identity == f"own + denoise {behind.version} {denoiser.digest[:12]}"
    assert purified(subject, "blur").identity == "own + blur 1"
