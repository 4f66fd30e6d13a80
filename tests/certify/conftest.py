"""A small picture, scores whose smoothed value is known, and a certificate of them."""

import numpy as np
import pytest

from birqa.certify.certificate import Request, certify
from birqa.certify.identity import Part, identify
from birqa.certify.noise import Noise
from birqa.certify.subject import UNLIMITED, Subject


@pytest.fixture(scope="session")
def picture():
    """uint8 (6, 9, 3), black and white among it."""
    pixels = np.random.default_rng(5).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    pixels[0, 0], pixels[0, 1] = 0, 255
    pixels.setflags(write=False)
    return pixels


def mean(noisy):
    """(B, 3, H, W) -> (B,)."""
    return np.clip(noisy, 0, 1).mean(axis=(1, 2, 3))


@pytest.fixture
def subject():
    """The mean of clamped pictures, as a metric called mean.test."""
    return Subject(Part("mean.test", "1", "ab" * 32), mean, made_with={"engine": "numpy"})


@pytest.fixture
def linear():
    """linear(weights): the score is their sum with the picture, in units of white = 1."""
    return lambda weights: Subject(
        Part("linear", "1", None), lambda noisy: np.tensordot(noisy, weights, 3), limits=UNLIMITED
    )


@pytest.fixture
def make(subject, picture):
    """make(samples, **changed): a certificate of the picture, with noise .2 and radius .1."""

    def certificate(samples=200, **changed):
        settings = {
            "subject": subject,
            "pixels": picture,
            "noise": Noise("discrete", 0.2, 7),
            "request": Request(0.1, 0.99),
            **changed,
        }
        pixels = settings["pixels"]
        return certify(
            settings["subject"],
            pixels,
            identify(pixels, "photo.png"),
            settings["noise"],
            settings["request"],
            samples,
            earlier=settings.get("earlier"),
            memory=settings.get("memory", 2**30),
        )

    return certificate
