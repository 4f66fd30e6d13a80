"""What a radius means in pixels, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birqa.certify.meaning import explain_radius


def test_the_published_radius_on_half_a_megapixel():
    # .05 * 255 = 12.75 levels; / sqrt(3 * 480,000) = 1,200 -> .010625; 12.75^2 = 162.6; / sqrt(3) = 7.36.
    meaning = explain_radius(0.05, 800, 600)
    assert meaning.even == pytest.approx(0.010625)
    assert meaning.one_level == 162
    assert meaning.one_pixel == pytest.approx(7.3612, abs=1e-4)
    assert (meaning.pixels, meaning.block) == (0, 0)
    assert str(meaning) == (
        "0.011 of 255 grey levels in every sample, or one grey level in 162 of its samples, "
        "or one pixel by 7.36 grey levels: none can turn from black to white"
    )


def test_black_to_white():
    # One pixel costs sqrt(3) = 1.732; nine cost 5.196, and a 3 x 3 block is nine.
    assert explain_radius(1.73, 50, 40).pixels == 0
    assert explain_radius(1.74, 50, 40).pixels == 1
    meaning = explain_radius(5.2, 50, 40)
    assert (meaning.pixels, meaning.block) == (9, 3)
    assert meaning.one_pixel == 255
    assert "9 pixels from black to white, the largest square 3 x 3" in str(meaning)
    assert explain_radius(5.19, 50, 40).block == 2
    assert "1 pixel from" in str(explain_radius(2, 50, 40))


def test_whole_numbers_are_not_lost_to_rounding():
    for side in range(1, 60):
        assert explain_radius(side * 3**0.5, 100, 100).block == side
    # 255 * .2 = 51.
    assert explain_radius(0.2, 100, 100).one_level == 51**2


def test_nothing_exceeds_the_picture():
    meaning = explain_radius(100, 4, 3)
    assert (meaning.even, meaning.one_level, meaning.pixels, meaning.block) == (255, 36, 12, 3)
    assert "the whole picture from black to white" in str(meaning)
    assert explain_radius(1e300, 4, 3).pixels == 12


@given(st.floats(0, 50), st.floats(0, 50), st.integers(1, 100), st.integers(1, 100))
def test_a_larger_radius_never_means_less(radius, more, width, height):
    small, large = (explain_radius(r, width, height) for r in (radius, radius + more))
    for name in ("even", "one_level", "one_pixel", "pixels", "block"):
        assert getattr(small, name) <= getattr(large, name)


@pytest.mark.parametrize("arguments", [(-0.1, 5, 5), (float("nan"), 5, 5), (float("inf"), 5, 5), (1, 0, 5)])
def test_nonsense(arguments):
    with pytest.raises(ValueError, match="should not be below"):
        explain_radius(*arguments)
