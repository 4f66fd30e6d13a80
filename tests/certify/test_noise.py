"""Noise: each draw by its number, the discrete distribution against SciPy and 60 digits, what is refused."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from birqa.certify import noise as module
from birqa.certify.noise import Noise


def planes(height=4, width=5, level=100):
    return np.full((3, height, width), level, np.uint8)


@settings(max_examples=20)
@given(st.sampled_from(["discrete", "gaussian"]), st.integers(0, 2**63 - 1), st.integers(0, 10**6))
def test_a_draw_depends_on_seed_and_number_alone(kind, seed, index):
    picture = planes()
    drawn = Noise(kind, 0.1, seed).draw(index, picture)
    Noise(kind, 0.3, seed).draw(index + 1, planes(2, 2))
    again = Noise(kind, 0.1, seed).draw(index, picture)
    assert drawn.dtype == np.float32
    assert np.array_equal(drawn, again)
    assert not np.array_equal(drawn, Noise(kind, 0.1, seed).draw(index + 1, picture))
    assert not np.array_equal(drawn, Noise(kind, 0.1, (seed + 1) % 2**63).draw(index, picture))


def test_the_numbers_stay_what_they_are():
    """Certificates of earlier releases are checked by drawing again."""
    drawn = Noise("discrete", 0.12, 2026).draw(3, planes(1, 3))
    assert np.rint(drawn * 255).astype(int).ravel().tolist() == GOLDEN


GOLDEN = [148, 67, 90, 50, 85, 113, 73, 101, 87]


def test_discrete_noise_adds_whole_grey_levels_and_does_not_clamp():
    drawn = Noise("discrete", 0.5, 1).draw(0, planes(40, 40)) * 255
    assert np.abs(drawn - np.rint(drawn)).max() < 1e-3
    assert drawn.min() < 0
    assert drawn.max() > 255


def test_a_noisy_level_is_one_number_wherever_it_comes_from():
    """Black + 7 and 3 + 4 must be the same float, or the score could tell the pictures apart."""
    levels = {}
    for level in (0, 3, 128, 255):
        drawn = Noise("discrete", 0.2, level).draw(0, planes(60, 60, level))
        for value in np.unique(drawn):
            assert levels.setdefault(int(np.rint(value * 255)), value) == value


def probabilities(sigma, reach):
    """P(k), k = -reach..reach, of round(N(0, s^2)): differences of the normal distribution."""
    edges = (np.arange(-reach, reach + 2) - 0.5) / (255 * sigma)
    below = stats.norm.cdf(edges)
    above = stats.norm.sf(edges)
    return np.where(edges[1:] < 0, np.diff(below), -np.diff(above))


@pytest.mark.parametrize("sigma", [0.001, 0.004, 0.02, 0.12, 1.0])
def test_the_distribution_fits(sigma):
    count = 400_000
    drawn = module._rounded_normal(np.random.SFC64(9), count, sigma).astype(int)
    reach = int(12 * 255 * sigma) + 1
    expected = probabilities(sigma, reach) * count
    observed = np.bincount(drawn + reach, minlength=2 * reach + 1)
    often = expected > 20
    rest = expected[~often].sum()
    difference = (observed[often] - expected[often]) ** 2 / expected[often]
    if rest > 1:
        difference = np.append(difference, (observed[~often].sum() - rest) ** 2 / rest)
    assert stats.chi2.sf(difference.sum(), max(len(difference) - 1, 1)) > 1e-3
    if sigma >= 0.004:
        assert drawn.std() == pytest.approx(np.hypot(255 * sigma, 12**-0.5), rel=0.02)


@pytest.mark.parametrize("sigma", [0.001, 0.12, 0.5])
def test_tables_invert_the_distribution(sigma):
    """A word's number, by the table and thresholds, is what the thresholds alone say."""
    steps, thresholds = module._thresholds(sigma)
    words = [0, 1, 2**63 - 1, 2**63, 2**64 - 1]
    words += [t + o for t in thresholds for o in (-1, 0, 1) if 0 <= t + o < 2**64]
    words += [int(w) for w in np.random.default_rng(2).integers(0, 2**64, 300, np.uint64)]
    table, fine, lowest = module._tables(sigma)
    for word in words:
        due = -steps + sum(t <= word for t in thresholds)
        coarse = table[word >> 48]
        found = (
            coarse
            if coarse != module._AMBIGUOUS
            else lowest + np.searchsorted(fine, np.uint64(word), "right")
        )
        assert found == due


@pytest.mark.parametrize("sigma", [0.004, 0.12])
def test_thresholds_to_the_last_of_64_bits(sigma):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        steps, thresholds = module._thresholds(sigma)
        assert len(thresholds) == 2 * steps
        for step, threshold in zip(range(-steps, steps), thresholds, strict=True):
            exact = 2**64 * mpmath.ncdf((step + mpmath.mpf(1) / 2) / (255 * mpmath.mpf(sigma)))
            assert abs(threshold - exact) <= 0.5000001


@pytest.mark.parametrize("sigma", [0.001, 0.02, 0.12, 1.0])
def test_inexactness_bounds_the_distance_to_the_exact_distribution(sigma):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        s = 255 * mpmath.mpf(sigma)
        steps, thresholds = module._thresholds(sigma)
        reach = steps + int(2 * s) + 3
        exact = [mpmath.ncdf((step + mpmath.mpf(1) / 2) / s) for step in range(-reach, reach)]
        ours = [mpmath.mpf(0)] * (reach - steps) + [mpmath.mpf(t) / 2**64 for t in thresholds]
        ours += [mpmath.mpf(1)] * (reach - steps)
        exact, ours = ([mpmath.mpf(0), *values, mpmath.mpf(1)] for values in (exact, ours))
        pairs = zip(pairwise(exact), pairwise(ours), strict=True)
        distance = sum(abs((b - a) - (d - c)) for (a, b), (c, d) in pairs) / 2
        assert distance <= module._inexactness(float(s))


def test_what_inexactness_costs_a_certificate():
    assert Noise("discrete", 0.12).charge(500 * 500 * 3 * 1000) == pytest.approx(1.24e-8, rel=0.01)
    assert Noise("discrete", 0.12).charge(12_000_000 * 3 * 1000) < 1e-6
    assert Noise("gaussian", 0.12).charge(10**9) == 0


def test_gaussian_noise_has_its_deviation_and_takes_deep_pictures():
    deep = np.full((3, 60, 80), 0.25, np.float32)
    drawn = Noise("gaussian", 0.12, 4).draw(0, deep)
    assert drawn.mean() == pytest.approx(0.25, abs=0.005)
    assert drawn.std() == pytest.approx(0.12, rel=0.02)
    eight = Noise("gaussian", 0.12, 4).draw(0, np.full((3, 60, 80), 51, np.uint8))
    assert eight == pytest.approx(drawn - 0.05, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "pixels", "complaint"),
    [
        ("discrete", np.zeros((4, 4, 3), np.float32), "float32, but discrete noise"),
        ("discrete", np.zeros((4, 4), np.uint8), r"shape \(4, 4\)"),
        ("gaussian", np.zeros((4, 4, 4), np.uint8), r"shape \(4, 4, 4\)"),
        ("gaussian", np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        ("gaussian", np.zeros((4, 4, 3), np.int32), "int32"),
    ],
)
def test_pictures_that_do_not_suit(kind, pixels, complaint):
    with pytest.raises(ValueError, match=complaint):
        Noise(kind).check(pixels)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("white", 0.1, 1), "'white' is not known"),
        (("discrete", 0.0, 1), r"sigma=0\.0"),
        (("discrete", float("nan"), 1), "sigma=nan"),
        (("discrete", 5.0, 1), r"sigma=5\.0"),
        (("discrete", 0.1, -1), "seed=-1"),
        (("discrete", 0.1, 2**63), f"seed={2**63}"),
    ],
)
def test_settings_out_of_range(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        Noise(*arguments)
