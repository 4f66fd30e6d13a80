"""Rated pairs that are made, for the tests of training."""

import numpy as np
import pytest
from PIL import Image

from birqa.ratings import RatedPair


@pytest.fixture(scope="session")
def noisy_pairs(tmp_path_factory):
    """noisy_pairs(sigmas, rate, held_out): four references, each with noise of every sigma.

    `rate(reference, strength)` gives the rating of sigma number `strength`; the last reference has the split
    `held_out`, the others are for training.
    """

    def make(sigmas, rate, held_out):
        folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
        pairs = []
        for number in range(4):
            rows, columns = np.mgrid[:40, :48]
            waves = rng.random(3) * rows[..., None] / 3 + rng.random(3) * columns[..., None]
            picture = 128 + 80 * np.sin(waves)
            ref = folder / f"{number}.png"
            Image.fromarray(picture.astype(np.uint8)).save(ref)
            for strength, sigma in enumerate(sigmas):
                noisy = picture + sigma * rng.normal(size=picture.shape)
                dist = folder / f"{number}-{strength}.png"
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(dist)
                split = "train" if number < 3 else held_out
                pairs.append(RatedPair(ref, dist, rate(number, strength), split))
        return pairs

    return make
