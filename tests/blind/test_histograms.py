"""Histograms with triangular bins: by hand, against NumPy and SciPy, and what their groups are."""

import json
from math import atan2, pi

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from birqa.blind.config import HISTOGRAMS, HUES, LAYOUT, TONES, BlindConfig
from birqa.blind.histograms import histogram, hue_amounts, scene_histograms
from birqa.blind.maps import opponent_colours

BINS = [13, 9, 12, 12, 12] * 4 + list(TONES.values())


def triangles(values, low, high, bins):
    """(N, C, H, W) -> (N, C, H, W, bins): each value goes to its two nearest bins, by nearness."""
    centres = np.linspace(low, high, bins)
    width = (high - low) / (bins - 1)
    return np.maximum(0, 1 - np.abs(values.clip(low, high)[..., None] - centres) / width)


def fine(values):
    """Every sample sixteen times, so that quarters that end within a sample hold whole ones."""
    return values.repeat(4, axis=2).repeat(4, axis=3)


def triangular(values, low, high, bins):
    """(N, C, H, W) -> (N, C * bins), over the whole planes."""
    return triangles(values, low, high, bins).mean((2, 3)).reshape(len(values), -1)


def triangular_in_parts(values, low, high, bins):
    """(N, C, H, W) -> (N, C * bins, 4, 4)."""
    count, colours, rows, columns = values.shape
    filled = triangles(fine(values), low, high, bins).reshape(count, colours, 4, rows, 4, columns, bins)
    return filled.mean((3, 5)).transpose(0, 1, 4, 2, 3).reshape(count, -1, 4, 4)


def inner_half(values):
    """From a quarter to three quarters of each side; sixteen times as fine."""
    rows, columns = values.shape[2:]
    return fine(values)[:, :, rows : 3 * rows, columns : 3 * columns]


def of(values, *rest):
    """Shares over all parts."""
    planes = torch.tensor(values, dtype=torch.float64)[None, None, None]
    return histogram(planes, *rest)[0].mean((1, 2)).tolist()


def test_values_are_shared_between_the_nearest_bins():
    # Centres 0, 1, 2, 3; a quarter of the sample each.
    assert of([0.0, 1.0, 1.5, 2.75], 0, 3, 4) == pytest.approx([1 / 4, 3 / 8, 3 / 16, 3 / 16])
    assert of([-1.0, -1.0, 1.0, 1.0], -1, 1, 3) == pytest.approx([0.5, 0, 0.5])
    assert of([0.25], 0, 1, 2) == pytest.approx([0.75, 0.25])


def test_the_outer_bins_take_what_lies_beyond():
    assert of([-9.0, 99.0, 5.0, 0.5], 0, 3, 4) == pytest.approx([3 / 8, 1 / 8, 0, 1 / 2])


def test_a_sample_that_lies_in_two_parts_counts_in_each_by_what_it_covers():
    # Five columns of 0, 1, 2, 3, 3: a part is a column and a quarter.
    values = torch.tensor([0.0, 1.0, 2.0, 3.0, 3.0], dtype=torch.float64).expand(1, 1, 8, 5)
    shares = histogram(values, 0, 3, 4)[0]
    assert shares.shape == (4, 4, 4)
    expected = [[0.8, 0, 0, 0], [0.2, 0.6, 0, 0], [0, 0.4, 0.4, 0], [0, 0, 0.6, 1]]
    np.testing.assert_allclose(shares, np.repeat(np.array(expected)[:, None], 4, axis=1), rtol=0, atol=1e-12)


@settings(max_examples=40)
@given(
    st.integers(2, 14),
    st.floats(-5, 5),
    st.floats(0.1, 9),
    st.integers(1, 13),
    st.integers(1, 13),
    st.integers(0, 99),
)
def test_shares_are_those_of_numpy_and_sum_to_one_in_every_part(bins, low, length, rows, columns, seed):
    values = np.random.default_rng(seed).normal(low + length / 2, length, (2, 3, rows, columns))
    got = histogram(torch.from_numpy(values), low, low + length, bins).numpy()
    expected = triangular_in_parts(values, low, low + length, bins)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.reshape(2, 3, bins, 4, 4).sum(2), 1, rtol=0, atol=1e-12)
    # Parts are equally large, also where they end within a sample: together they are the whole.
    whole = triangular(values, low, low + length, bins)
    np.testing.assert_allclose(got.mean((2, 3)), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(15, 19), (61, 83), (249, 333)])
def test_bins_are_zero_where_nothing_lies(size):
    # In float32 and with sides that 4 does not divide, where shares of parts are rounded.
    inside = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    for low, empty in ((-2.0, [0, 1, 4, 5]), (-4.0, [0, 1, 2, 3]), (0.0, [2, 3, 4, 5])):
        shares = histogram(inside, low, low + 5, 6)[0]
        # Exactly so on most processors; on some the means of equal ramps differ by one rounding.
        torch.testing.assert_close(shares[empty], torch.zeros(4, 4, 4), atol=1e-7, rtol=0)


def test_gradients_are_those_of_the_triangles():
    values = torch.tensor([[[[0.3, 1.6]]]], dtype=torch.float64, requires_grad=True)
    shares = histogram(values, 0, 3, 4)[0].mean((1, 2))
    # .3 moves from bin 0 to bin 1, 1.6 from bin 1 to bin 2, each half of the sample.
    for index, wanted in enumerate([[-0.5, 0], [0.5, -0.5], [0, 0.5], [0, 0]]):
        (gradient,) = torch.autograd.grad(shares[index], values, retain_graph=True)
        assert gradient.flatten().tolist() == pytest.approx(wanted)


def test_gradients_of_a_part_are_those_of_its_own_samples():
    values = torch.full((1, 1, 8, 5), 1.25, dtype=torch.float64, requires_grad=True)
    shares = histogram(values, 0, 3, 4)[0]
    # Rows 4 and 5; three quarters of column 1 and half of column 2, of two rows by 1.25 columns.
    wanted = torch.zeros(8, 5, dtype=torch.float64)
    wanted[4:6, 1], wanted[4:6, 2] = 0.75 / 2.5, 0.5 / 2.5
    for index, sign in enumerate([0, -1, 1, 0]):
        (gradient,) = torch.autograd.grad(shares[index, 2, 1], values, retain_graph=True)
        torch.testing.assert_close(gradient[0, 0], sign * wanted, rtol=0, atol=1e-12)


def group(described, number, region="whole"):
    start = sum(HISTOGRAMS[:number]) + (sum(HISTOGRAMS) if region == "centre" else 0)
    return described[:, start : start + HISTOGRAMS[number]]


def roots(shares):
    return np.sqrt(shares + 1e-4)


@pytest.fixture
def planes(scenes):
    return torch.from_numpy(np.stack(scenes[:3]).transpose(0, 3, 1, 2)).double() / 255


@pytest.mark.parametrize("region", ["whole", "centre"])
def test_each_group_is_roots_of_shares_of_its_histograms(planes, region):
    described = scene_histograms(planes)
    assert described.shape == (3, 2 * sum(HISTOGRAMS))
    # The last are no shares, but amounts of hues.
    assert len(HISTOGRAMS) - 1 == len(BINS) == 4 * 5 + 6
    # Squared and without the small addition under the root, the shares of each histogram sum to 1.
    for number, size in enumerate(BINS):
        shares = group(described, number, region).square() - 1e-4
        assert (shares > -1e-12).all()
        totals = shares.reshape(3, -1, size).sum(2)
        torch.testing.assert_close(totals, torch.ones_like(totals))


def responses(rgb):
    """Samples and range of every histogram of one scale, of a picture that is mirrored at its edges."""
    colours = opponent_colours(torch.from_numpy(rgb)).numpy()
    colours = np.pad(colours, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="reflect")

    def blurred(values):
        return gaussian_filter(values, 7 / 6, mode="nearest", radius=3, axes=(2, 3))

    mean = blurred(colours)
    deviation = np.sqrt(np.maximum(blurred(colours**2) - mean**2, 0) + 1e-5)
    normalised = (colours - mean) / (deviation + 1 / 255)

    def moved(values, down=0, right=0):
        return np.roll(values, (-down, -right), axis=(2, 3))[:, :, 1:-1, 1:-1]

    ways = [(0, 1), (1, 0), (1, 1), (1, -1)]
    products = np.concatenate([moved(normalised) * moved(normalised, *way) for way in ways], axis=1)
    below, beside = (moved(colours, *way) - moved(colours) for way in ((1, 0), (0, 1)))
    return [
        (moved(normalised), -3, 3),
        (np.sign(products) * np.log1p(4 * np.abs(products)), -2.5, 2.5),
        (np.log2(moved(deviation) + 1 / 512), -9, -1),
        (np.log2(np.sqrt(below**2 + beside**2 + 1e-8) + 1 / 1024), -10, 0),
        (np.log2(np.abs(moved(colours - mean)) + 1 / 1024), -10, -1),
    ]


@pytest.mark.parametrize("size", [(64, 80), (40, 52), (37, 67)])
def test_responses_are_those_of_scipy_in_the_whole_picture_and_in_its_inner_half(planes, size):
    rgb = planes[:, :, : size[0], : size[1]].numpy()
    described = scene_histograms(torch.from_numpy(rgb)).numpy()
    for scale in range(4):
        rows, columns = (side >> scale for side in size)
        cells = rgb[:, :, : rows << scale, : columns << scale]
        small = cells.reshape(3, 3, rows, 1 << scale, columns, 1 << scale).mean((3, 5))
        for kind, (values, low, high) in enumerate(responses(small)):
            # The finest scale is looked at in every second row and column.
            values = values if scale else values[:, :, 1::2, 1::2]
            number = 5 * scale + kind
            for region, samples in (("whole", values), ("centre", inner_half(values))):
                expected = roots(triangular(samples, low, high, BINS[number]))
                got = group(described, number, region)
                np.testing.assert_allclose(got, expected, rtol=0, atol=1e-8, err_msg=f"{number} {region}")


def test_tones_are_histograms_of_the_colours_in_the_whole_picture_and_in_its_inner_half(planes):
    described = scene_histograms(planes)
    # The groups of tones follow those of the scales; they are of the third scale, here 16 x 20.
    coarse = torch.nn.functional.avg_pool2d(planes, 4)
    luma, blue, red = opponent_colours(coarse).numpy().transpose(1, 0, 2, 3)[:, :, None]
    largest, smallest = coarse.numpy().max(1, keepdims=True), coarse.numpy().min(1, keepdims=True)
    saturation = (largest - smallest) / (largest + 0.05)
    tones = [luma, saturation, largest, smallest, blue, red]
    ranges = [(0, 1)] * 4 + [(-0.6, 0.6)] * 2
    for number, (values, ends) in enumerate(zip(tones, ranges, strict=True), 20):
        for region, samples in (("whole", values), ("centre", values[:, :, 4:12, 5:15])):
            expected = roots(triangular(samples, *ends, BINS[number]))
            np.testing.assert_allclose(group(described, number, region), expected, rtol=0, atol=1e-9)


@settings(max_examples=60)
@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_a_colour_is_made_up_of_the_two_hues_next_to_it(blue, red):
    colours = torch.tensor([0.5, blue, red], dtype=torch.float64).reshape(1, 3, 1, 1)
    amounts = hue_amounts(colours)[0, :, 0, 0].numpy()
    angles = 2 * pi * np.arange(HUES) / HUES
    assert (amounts >= 0).all()
    np.testing.assert_allclose(amounts @ np.cos(angles), blue, rtol=0, atol=1e-12)
    np.testing.assert_allclose(amounts @ np.sin(angles), red, rtol=0, atol=1e-12)
    below = int(atan2(red, blue) // (2 * pi / HUES)) % HUES
    others = [hue for hue in range(HUES) if hue not in (below, (below + 1) % HUES)]
    np.testing.assert_allclose(amounts[others], 0, rtol=0, atol=1e-12)


def test_hues_are_looked_at_by_contrast_in_the_whole_picture_and_in_its_inner_half(planes):
    described = scene_histograms(planes)
    coarse = torch.nn.functional.avg_pool2d(planes, 4)
    colours = opponent_colours(coarse).numpy()
    luma = colours[:, 0]
    mean, square = (
        gaussian_filter(values, 7 / 6, mode="nearest", radius=3, axes=(1, 2)) for values in (luma, luma**2)
    )
    deviation = np.sqrt(np.maximum(square - mean**2, 0) + 1e-5)
    contrast = triangles(np.log2(deviation + 1 / 512), -8, -2, 4)
    amounts = hue_amounts(torch.from_numpy(colours)).numpy()
    for region, inside in (("whole", np.s_[:, :]), ("centre", np.s_[4:12, 5:15])):
        samples = amounts[:, :, *inside], contrast[:, *inside]
        expected = np.einsum("nhij,nijc->nhc", *samples) / samples[0][0, 0].size
        got = group(described, 26, region)
        np.testing.assert_allclose(got, roots(expected.reshape(3, -1)), rtol=0, atol=1e-8, err_msg=region)


def test_what_is_shown_in_the_centre_alone_is_told_from_what_is_shown_around_it(planes):
    tones = slice(sum(HISTOGRAMS[:20]), sum(HISTOGRAMS[:26]))

    def described(pictures):
        return [part[:, tones] for part in scene_histograms(pictures).chunk(2, dim=1)]

    whole, centre = described(planes)
    around = planes.flip(1)
    around[:, :, 16:48, 20:60] = planes[:, :, 16:48, 20:60]
    whole_after, centre_after = described(around)
    torch.testing.assert_close(centre_after, centre, rtol=0, atol=1e-12)
    assert ((whole_after - whole).abs().amax(1) > 0.01).all()
    within = planes.clone()
    within[:, :, 16:48, 20:60] = planes.flip(1)[:, :, 16:48, 20:60]
    whole_after, centre_after = described(within)
    assert ((centre_after - centre).abs().amax(1) > 0.01).all()
    # The centre is a quarter of the picture.
    torch.testing.assert_close(
        whole_after.square() - whole.square(), (centre_after.square() - centre.square()) / 4
    )


def test_noise_moves_the_gradient_histogram_up_and_blur_moves_it_down(planes):
    levels = torch.arange(12, dtype=torch.float64)

    def mean_gradient(pictures):
        shares = group(scene_histograms(pictures), 3).square() - 1e-4
        return (shares.reshape(len(pictures), 3, 12)[:, 0] * levels).sum(1)

    noise = 0.1 * torch.randn(planes.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = mean_gradient(planes)
    assert (mean_gradient((planes + noise).clamp(0, 1)) > plain).all()
    soft = torch.nn.functional.avg_pool2d(planes, 5, stride=1, padding=2, count_include_pad=False)
    assert (mean_gradient(soft) < plain).all()


@pytest.mark.parametrize("size", [(16, 16), (16, 61), (33, 17)])
def test_the_smallest_pictures_have_samples_of_every_kind(size):
    described = scene_histograms(torch.rand(2, 3, *size))
    assert torch.isfinite(described).all()
    assert (described > 0).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_pictures_have_finite_statistics_and_gradients(level):
    flat = torch.full((1, 3, 32, 32), level, requires_grad=True)
    described = scene_histograms(flat)
    described.sum().backward()
    assert torch.isfinite(described).all()
    assert torch.isfinite(flat.grad).all()


def test_groups_are_scales_and_tones_of_each_region_then_the_layout():
    # Of each of three colours 13 bins, 9 in each of four directions, and three times 12.
    scale = 3 * (13 + 4 * 9 + 3 * 12)
    assert [sum(HISTOGRAMS[5 * number :][:5]) for number in range(4)] == [scale] * 4
    assert sum(HISTOGRAMS[20:26]) == sum(TONES.values()) == 56
    assert HISTOGRAMS[26] == 12 * 4
    config = BlindConfig()
    assert config.widths == ()
    assert config.groups == (*[scale] * 4, 56, 48, *[scale] * 4, 56, 48, 16)
    assert sum(config.groups) == 2 * sum(HISTOGRAMS) + LAYOUT
    assert config.learned == 0


def test_a_network_adds_two_groups_of_every_stage():
    config = BlindConfig(widths=(4, 6))
    assert config.groups == (*BlindConfig().groups, 4, 4, 6, 6)
    assert config.learned == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": (8,)}, r"widths=\(8,\) should be none or at least two numbers of channels\."),
        ({"widths": (8, 0)}, "none or at least two numbers of channels"),
        ({"shrink": 0}, "from 1 to 2"),
        ({"shrink": 3}, "from 1 to 2"),
        ({"supports": -1}, "not negative"),
        ({"noise": (0.1, 0.0)}, r"noise=\(0.1, 0.0\) should be deviations above 0, or none"),
        ({"denoiser": "denoiser.blind"}, "denoiser='denoiser.blind' has no noise to remove: set noise"),
    ],
)
def test_configurations_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        BlindConfig(**settings)


@pytest.mark.parametrize("widths", [(), (4, 6, 8)])
def test_a_configuration_is_stored_and_read_back(widths):
    config = BlindConfig(widths=widths, shrink=1, noise=(0.1, 0.2), denoiser="denoiser.blind", supports=3)
    assert BlindConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_configuration_with_fields_that_there_are_not_is_refused():
    with pytest.raises(ValueError, match="unknown fields: depth"):
        BlindConfig.from_dict({"depth": 1})
