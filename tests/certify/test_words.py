"""A certificate in words, and its curve: nothing is claimed that was not shown."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from birqa.certify.certificate import Request
from birqa.certify.curve import save_curve
from birqa.certify.identity import Part, identify
from birqa.certify.noise import Noise
from birqa.certify.words import _nines, advise, describe


def test_all_that_is_claimed_and_all_that_is_not(make, subject, picture):
    certificate = make(400)
    lines = dict(describe(certificate))
    assert lines["score"].startswith(f"{certificate.claim.score:.4f}  (mean.test 1)")
    assert "confidence 0.99 for both ends at once (reached 0.99" in lines["interval"]
    assert lines["radius"].startswith("l2 0.1: 2 of 255 grey levels in every sample")
    assert "400 under discrete noise of sigma 0.2, seed 7" in lines["draws"]
    assert "every 8-bit picture of this size within the radius" in lines["holds for"]
    for word in ("beyond the radius", "shifts", "other metrics", "chance of 0.01"):
        assert word in lines["does not cover"]
    assert "a larger picture that this one was reduced from" in lines["does not cover"]
    assert "beware" not in lines
    one_sided = dict(describe(make(400, request=Request(0.1, 0.9, two_sided=False))))
    assert one_sided["does not cover"].endswith("the chance of 0.1 that these draws mislead, for each end")
    sure = dict(describe(make(400, request=Request(0.001, 0.99999999999))))
    assert "confidence 0.99999999999 for" in sure["interval"]
    behind = make(
        subject=replace(subject, denoiser=Part("d.x", "2", "00"), reference=identify(picture, "r.png")),
        noise=Noise("gaussian", 0.2, 7),
        request=Request(0.1, 0.99, two_sided=False),
    )
    lines = dict(describe(behind))
    assert "mean.test 1 against r.png, behind d.x 2" in lines["score"]
    assert "each end by itself" in lines["interval"]
    assert "floating-point arithmetic, which are not accounted for" in lines["holds for"]
    assert "changes of the reference" in lines["does not cover"]


def test_more_draws_than_any_certificate_has_are_refused_at_once():
    with pytest.raises(ValueError, match="samples=2000000000 should be from 1 to 100,000"):
        advise(Request(), 0.12, 2 * 10**9)


def test_ends_are_printed_rounded_outwards(make):
    for seed in range(10):
        certificate = make(300, noise=Noise("discrete", 0.2, seed))
        low, _, high = dict(describe(certificate))["interval"].split(",")[0].split()
        assert float(low) <= certificate.claim.low
        assert float(high) >= certificate.claim.high
        assert float(high) - float(low) <= certificate.claim.high - certificate.claim.low + 2e-4


def test_scores_of_a_small_range_keep_their_digits(make, subject):
    tiny = replace(subject, score=lambda noisy: 1e-6 * subject.score(noisy))
    certificate = make(300, subject=tiny)
    low, _, high = dict(describe(certificate))["interval"].split(",")[0].split()
    assert 0 < float(low) <= certificate.claim.low < certificate.claim.high <= float(high)
    assert float(high) - float(low) < 1.05 * (certificate.claim.high - certificate.claim.low)


def test_what_is_not_bounded_says_what_it_would_take(make, linear):
    lines = dict(describe(make(100, request=Request(0.6, 0.999))))
    assert lines["interval"].startswith("0.0000 .. 1.0000")
    assert "at least 5,627 draws, or a sigma above 0.414" in lines["beware"]
    unlimited = make(5, subject=linear(np.ones((3, 6, 9))))
    assert dict(describe(unlimited))["interval"].startswith("-inf .. inf")


def test_the_advice_counts_what_the_inexactness_of_draws_costs():
    request, draws = Request(0.5, 0.999999), 631
    charge = Noise("discrete", 0.25, 1).charge(draws * 3 * 4000 * 3000)
    assert advise(request, 0.25, draws) is None
    assert "it takes at least 6" in advise(request, 0.25, draws, charge)


def test_the_advice_helps():
    request = Request(0.36, 0.999)
    assert advise(request, 0.12, 5627) is None
    assert "at least 5,627 draws, or a sigma above 0.248" in advise(request, 0.12, 100)
    assert advise(request, 0.248, 100) is None
    assert "sigma above" not in advise(Request(20.0), 0.12, 20)
    assert "draws, or" not in advise(Request(0.6), 0.12, 100)
    hopeless = advise(Request(5.0), 0.12, 5)
    assert "at least" not in hopeless
    assert "sigma above" not in hopeless
    assert "a smaller radius" in hopeless


@pytest.mark.parametrize(
    ("coverage", "text"), [(0.99912345678, "0.999123"), (1 - 2.34e-9, "1 - 2.3e-09"), (0.5, "0.500000")]
)
def test_probabilities_near_one(coverage, text):
    assert _nines(coverage) == text


def test_a_curve(make, linear, tmp_path):
    for name, certificate in {
        "plain": make(300),
        "too few": make(5),
        "unreached": make(30, request=Request(2.0)),
        "unlimited": make(200, subject=linear(np.ones((3, 6, 9)))),
    }.items():
        save_curve(certificate, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert min(image.size) > 300
            assert np.asarray(image.convert("L")).std() > 5
