import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from birqa.training.steps import CODECS, LARGEST_STEP, LEAST_STEP, QUALITIES, codec_step


@pytest.fixture(scope="module")
def ref(noisy_pairs):
    picture = np.asarray(Image.open(noisy_pairs([0], lambda number, k: 1.0, "train")[0].ref))
    return (picture / np.float32(255)).transpose(2, 0, 1)


def stored(ref, codec, quality):
    buffer = BytesIO()
    Image.fromarray(np.rint(ref.transpose(1, 2, 0) * 255).astype(np.uint8)).save(
        buffer, codec, quality=quality
    )
    return np.asarray(Image.open(buffer).convert("RGB")).transpose(2, 0, 1)


def test_a_step_is_one_picture_at_two_qualities_of_one_codec(ref):
    qualities = range(QUALITIES[0], QUALITIES[1] + 1)
    known = {
        stored(ref, codec, quality).tobytes(): (codec, quality) for codec in CODECS for quality in qualities
    }
    seen = set()
    for seed in range(60):
        pictures = codec_step(ref, np.random.default_rng(seed))
        assert (pictures.dtype, pictures.shape) == (np.float32, (2, *ref.shape))
        levels = [np.rint(picture * 255).astype(np.uint8) for picture in pictures]
        (codec, better), (same, worse) = (known[np.ascontiguousarray(one).tobytes()] for one in levels)
        assert codec == same
        seen.add(codec)
        # Neighbouring qualities may give one and the same file.
        assert LEAST_STEP - 1 <= better - worse <= LARGEST_STEP + 1
    assert seen == set(CODECS)


def test_a_step_depends_on_its_random_numbers_alone(ref):
    first, second = (codec_step(ref, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_training_needs_no_opencv():
    hidden = "import sys; sys.modules['cv2'] = None; import birqa.training.fit"
    subprocess.run([sys.executable, "-c", hidden], check=True)
