from itertools import pairwise

import numpy as np
import pytest
import torch

from birqa.features import information_change, information_map, lbp_difference, local_statistics, ssim_map
from birqa.features.colour import luma
from birqa.features.maps import FeatureMaps
from birqa.pyramid import CHANNELS, HALO

SSIM, INFORMATION, CHANGE, DY, DCB, DCR, LBP = range(7)
MODES = ["hard", "soft", "straight-through"]


def picture(seed, count=1, height=32, width=48):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, height + 2 * HALO, width + 2 * HALO, generator=generator)


def flat(*rgb, side=16):
    return torch.tensor(rgb).reshape(1, 3, 1, 1).expand(1, 3, side + 10, side + 10).contiguous()


def test_halo_and_channel_table_describe_the_output():
    assert HALO == 5
    assert list(CHANNELS.items()) == [("ssim", 1), ("information", 2), ("colour", 3), ("lbp", 1)]


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_each_level_has_seven_maps_half_the_size_of_the_one_before(levels):
    pyramid = FeatureMaps(levels)(picture(0, 2), picture(1, 2))
    assert [tuple(maps.shape) for maps in pyramid] == [(2, 7, 32 >> k, 48 >> k) for k in range(levels)]


def test_coarser_levels_are_means_of_2x2_cells():
    pyramid = [maps.numpy() for maps in FeatureMaps()(picture(0, 2), picture(1, 2))]
    for fine, coarse in pairwise(pyramid):
        count, channels, height, width = fine.shape
        cells = fine.reshape(count, channels, height // 2, 2, width // 2, 2)
        np.testing.assert_allclose(coarse, cells.mean((3, 5)), atol=1e-6)


def test_channels_of_a_red_flat_picture_against_grey_are_as_worked_by_hand():
    maps = FeatureMaps(1)(flat(1.0, 0.0, 0.0), flat(0.5, 0.5, 0.5))[0]
    ssim = (2 * 0.299 * 0.5 + 1e-4) / (0.299**2 + 0.25 + 1e-4)
    worked = [1 - ssim, 0, 0, -0.201, -0.168636, 0.499813, 0]
    # Rounding of a flat variance reads as up to .006 in the information maps.
    tolerances = [1e-3, 1e-2, 1e-2, 1e-6, 1e-6, 1e-6, 0]
    for channel, (value, tolerance) in enumerate(zip(worked, tolerances, strict=True)):
        np.testing.assert_allclose(maps[0, channel].numpy(), value, atol=tolerance, err_msg=str(channel))


def test_channels_of_textured_pictures_equal_the_single_features():
    dist, ref = picture(2), picture(3)
    maps = FeatureMaps(1, lbp="hard")(dist, ref)[0]
    local = local_statistics(luma(ref), luma(dist))
    assert torch.equal(maps[:, [SSIM]], 1 - ssim_map(local))
    assert torch.equal(maps[:, [INFORMATION]], information_map(local))
    assert torch.equal(maps[:, [CHANGE]], information_change(local))
    assert torch.equal(maps[:, [LBP]], lbp_difference(luma(ref), luma(dist))[..., 4:-4, 4:-4])
    # A floor of a tenth: its square where the literature has .03^2 and .4 / 255^2.
    maps = FeatureMaps(1, lbp="hard", floor=0.1)(dist, ref)[0]
    assert torch.equal(maps[:, [SSIM]], 1 - ssim_map(local, 0.1**2))
    assert torch.equal(maps[:, [INFORMATION]], information_map(local, 0.1**2))
    assert torch.equal(maps[:, [CHANGE]], information_change(local, 0.1**2))
    assert torch.equal(maps[:, [LBP]], lbp_difference(luma(ref), luma(dist), 0.1)[..., 4:-4, 4:-4])
    assert torch.equal(maps[:, [DY]], (luma(dist) - luma(ref))[..., 5:-5, 5:-5])


def test_one_changed_pixel_moves_every_map_around_its_own_place_only():
    ref = picture(4, height=40, width=40) * 0.5
    dist = ref.clone()
    row, column = 17, 22
    dist[..., row + HALO, column + HALO] = 1.0
    maps = FeatureMaps(1, lbp="hard")(dist, ref)[0][0]
    rows, columns = np.mgrid[:40, :40]
    distance = np.maximum(abs(rows - row), abs(columns - column))
    identical = FeatureMaps(1, lbp="hard")(ref, ref)[0][0]
    changed = (maps != identical).numpy()
    for channel in (DY, DCB, DCR):
        np.testing.assert_array_equal(changed[channel], distance == 0)
    assert changed[LBP][distance == 0].all()
    assert not changed[LBP][distance > 1].any()
    for channel in (SSIM, INFORMATION, CHANGE):
        assert changed[channel][distance <= 3].all()
        assert not changed[channel][distance > 5].any()


@pytest.mark.parametrize("mode", MODES)
def test_identical_pictures_differ_in_no_map(mode):
    both = picture(5, 2)
    for maps in FeatureMaps(lbp=mode)(both, both.clone()):
        assert maps[:, [SSIM, CHANGE, DY, DCB, DCR, LBP]].abs().max() == 0
        assert maps[:, INFORMATION].min() > 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("dist", "ref"),
    [
        (flat(0.0, 0.0, 0.0), flat(0.0, 0.0, 0.0)),
        (flat(1.0, 1.0, 1.0), flat(1.0, 1.0, 1.0)),
        (flat(0.4, 0.4, 0.4), flat(0.6, 0.6, 0.6)),
        (flat(0.0, 0.0, 0.0), flat(1.0, 1.0, 1.0)),
        (picture(6, 1, 16, 16), picture(6, 1, 16, 16)),
        (picture(6, 1, 16, 16), flat(0.0, 0.0, 0.0)),
    ],
    ids=["black", "white", "flat", "black on white", "identical", "texture on black"],
)
def test_gradients_are_finite(dist, ref, mode):
    dist = dist.clone().requires_grad_()
    sum(maps.sum() for maps in FeatureMaps(lbp=mode)(dist, ref)).backward()
    assert torch.isfinite(dist.grad).all()


def test_straight_through_changes_the_gradient_but_not_the_maps():
    ref = picture(7)

    def run(mode):
        dist = picture(8).requires_grad_()
        maps = FeatureMaps(1, lbp=mode)(dist, ref)[0]
        return maps.detach(), torch.autograd.grad(maps.sum(), dist)[0]

    hard, through = run("hard"), run("straight-through")
    assert torch.equal(hard[0], through[0])
    assert not torch.allclose(hard[1], through[1])


def test_an_unknown_lbp_form_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"'fuzzy'.*'hard', 'soft' or 'straight-through'"):
        FeatureMaps(lbp="fuzzy")


def test_the_module_holds_no_weights():
    assert FeatureMaps(floor=0.1).state_dict() == {}
