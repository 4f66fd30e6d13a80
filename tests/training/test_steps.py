import subprocess
import sys
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from birqa.training.steps import (
    CODECS,
    DARKEST,
    KINDS,
    LARGEST_STEP,
    LEAST_STEP,
    NOISE,
    QUALITIES,
    RATIO,
    known_step,
)


@pytest.fixture(scope="module")
def ref(noisy_pairs):
    picture = np.asarray(Image.open(noisy_pairs([0], lambda number, k: 1.0, "train")[0].ref))
    return (picture / np.float32(255)).transpose(2, 0, 1)


def steps(ref, kind, count=40):
    """Reference, better and worse picture in 0..255, (H, W, 3)."""
    for seed in range(count):
        pictures = known_step(ref, np.random.default_rng(seed), (kind,))
        assert (pictures.dtype, pictures.shape) == (np.float32, (3, *ref.shape))
        levels = pictures.transpose(0, 2, 3, 1) * 255
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
        yield np.rint(levels).astype(np.uint8)


def stored(picture, codec, quality):
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, codec, quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def eight_bit(ref):
    return np.rint(ref.transpose(1, 2, 0) * 255).astype(np.uint8)


def test_a_codec_s_step_is_one_picture_at_two_qualities_of_one_codec(ref):
    qualities = range(QUALITIES[0], QUALITIES[1] + 1)
    known = {
        stored(eight_bit(ref), codec, quality).tobytes(): (codec, quality)
        for codec in CODECS
        for quality in qualities
    }
    seen = set()
    for start, *pictures in steps(ref, "codec", 60):
        np.testing.assert_array_equal(start, eight_bit(ref))
        (codec, better), (same, worse) = (known[one.tobytes()] for one in pictures)
        assert codec == same
        seen.add(codec)
        # Neighbouring qualities may give one and the same file.
        assert LEAST_STEP - 1 <= better - worse <= LARGEST_STEP + 1
    assert seen == set(CODECS)


def test_noise_grows_by_the_ratio_on_a_picture_as_dark_as_its_reference():
    grey = np.full((3, 64, 64), 0.5, np.float32)
    darkness = []
    for start, *pictures in steps(grey, "noise"):
        assert np.ptp(start) == 0
        darkness.append(128 / start.flat[0])
        better, worse = (np.std(picture.astype(float) - start) for picture in pictures)
        # Rounding adds 1/12 to the variance; black clips the noise of the darkest.
        assert RATIO[0] * 0.9 < worse / better < RATIO[1] * 1.1
        assert NOISE[0] * 0.9 < better < NOISE[1]
    assert min(darkness) < 1.5
    assert DARKEST * 0.6 < max(darkness) <= DARKEST * 1.1


def test_scales_lose_more_at_the_larger_factor():
    # White noise, slightly blurred, so that each factor takes some of its bands.
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.random((96, 96, 3)), (0, 0), 0.7).astype(np.float32).transpose(2, 0, 1)
    for start, *pictures in steps(noise, "scale", 60):
        np.testing.assert_array_equal(start, eight_bit(noise))
        better, worse = (np.mean((picture.astype(float) - start) ** 2) for picture in pictures)
        assert 0 < better < worse


def test_scaling_leaves_a_flat_picture_flat():
    flat = np.full((3, 50, 70), 77 / 255, np.float32)
    assert all(np.all(pictures == 77) for pictures in steps(flat, "scale", 30))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_depends_on_its_random_numbers_alone(ref, kind):
    first, second = (known_step(ref, np.random.default_rng(3), (kind,)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_kinds_are_drawn_as_often_as_they_are_named(ref):
    kinds = "noise", "noise", "codec"
    dark = [
        not np.array_equal(eight_bit(known_step(ref, np.random.default_rng(seed), kinds)[0]), eight_bit(ref))
        for seed in range(300)
    ]
    assert 0.55 < np.mean(dark) < 0.78


def test_training_needs_no_opencv():
    hidden = "import sys; sys.modules['cv2'] = None; import birqa.training.fit"
    subprocess.run([sys.executable, "-c", hidden], check=True)
