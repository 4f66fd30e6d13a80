"""Certificates: what they claim, that they can be continued and kept, and that no change goes unseen."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from birqa.certify.certificate import (
    Certificate,
    CertificateError,
    Request,
    _digest,
    check_picture,
    check_subject,
    load_certificate,
    make_claim,
)
from birqa.certify.identity import Part, identify
from birqa.certify.noise import Noise
from birqa.certify.smoothing import find_ranks
from birqa.certify.subject import UNLIMITED

NOISE = Noise("discrete", 0.12, 1)


def resealed(certificate, **changed):
    """The certificate as a forger would write it: changed, with its sha256 computed anew."""
    record = certificate.to_dict() | changed
    del record["sha256"]
    return record | {"sha256": _digest(record)}


def written(tmp_path, record):
    path = tmp_path / "forged.json"
    path.write_text(json.dumps(record))
    return path


def test_the_published_claim():
    """n = 1000, sigma .12, eps .05, alpha .001: ranks 293 and 708, one-sided as published."""
    scores = np.random.default_rng(0).permutation(np.arange(1, 1001)) / 1024
    one_sided = make_claim(scores, Request(0.05, 0.999, two_sided=False), NOISE, 750_000, (0, 1))
    assert (one_sided.lower_rank, one_sided.upper_rank) == (293, 708)
    assert (one_sided.low, one_sided.high) == (293 / 1024, 708 / 1024)
    assert one_sided.score == 500 / 1024
    assert one_sided.is_bounded
    both = make_claim(scores, Request(), NOISE, 750_000, (0, 1))
    assert (both.lower_rank, both.upper_rank) == (290, 711)
    assert both.charge == NOISE.charge(750_000_000)
    ranks = find_ranks(1000, 0.12, 0.05, 0.001)
    assert both.coverage == pytest.approx(
        1 - ranks.lower_missed - ranks.upper_missed - both.charge, abs=1e-15
    )
    assert 0.999 < both.coverage < 0.9992


def test_inexact_draws_are_paid_for():
    """So many samples that the charge takes half of what may be missed: the ranks are those of the rest."""
    request = Request(0.0, 1 - 2e-5, two_sided=True)
    size = int(1e-5 / NOISE.charge(100))
    scores = np.linspace(0, 1, 100)
    paid, free = (make_claim(scores, request, NOISE, samples, (0, 1)) for samples in (size, 1))
    assert paid.charge == pytest.approx(1e-5)
    ranks = find_ranks(100, 0.12, 0.0, 2e-5 - paid.charge)
    assert (paid.lower_rank, paid.upper_rank) == (ranks.lower, ranks.upper)
    assert paid.lower_rank < free.lower_rank
    assert paid.coverage >= request.confidence
    with pytest.raises(ValueError, match="not exact with a probability"):
        make_claim(scores, request, NOISE, 3 * size, (0, 1))


@settings(max_examples=60)
@given(
    st.integers(1, 500),
    st.floats(0, 0.5),
    st.floats(0, 0.3),
    st.floats(0.5, 0.9999),
    st.floats(0, 1),
    st.booleans(),
)
def test_wider_for_a_larger_radius_and_for_more_confidence(n, radius, more, confidence, surer, two_sided):
    scores = np.random.default_rng(n).random(n)
    request = Request(radius, confidence, two_sided)
    claim, *wider = (
        make_claim(scores, one, NOISE, 3000, (0, 1))
        for one in (
            request,
            replace(request, radius=radius + more),
            replace(request, confidence=confidence + surer * (0.9999 - confidence)),
        )
    )
    assert 0 <= claim.low <= claim.high <= 1
    assert claim.coverage >= confidence
    for other in wider:
        assert other.low <= claim.low
        assert other.high >= claim.high
        assert other.score == claim.score


def test_what_is_not_bounded_ends_with_the_range():
    claim = make_claim([0.4] * 100, Request(0.36), NOISE, 3000, (0, 1))
    assert (claim.low, claim.high, claim.is_bounded) == (0, 1, False)
    assert make_claim([7.0] * 100, Request(0.36), NOISE, 3000, UNLIMITED).low == -np.inf


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(1, 60), more=st.integers(0, 60), memory=st.integers(2**16, 2**19))
def test_continued_is_at_once(make, first, more, memory):
    whole = make(first + more)
    start = make(first)
    continued = make(first + more, earlier=start, memory=memory)
    assert continued.to_dict() == whole.to_dict()
    assert start.scores.tolist() == whole.scores[:first].tolist()


def test_a_file_can_be_continued(make, tmp_path):
    make(20).save(tmp_path / "a.json")
    start = load_certificate(tmp_path / "a.json")
    assert make(50, earlier=start).to_dict() == make(50).to_dict()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"samples": 10}, "20 draws already: ask for more than that, not for 10"),
        ({"noise": Noise("discrete", 0.2, 8)}, "seed 7, not"),
        ({"noise": Noise("gaussian", 0.2, 7)}, "discrete noise of sigma 0.2"),
        ({"pixels": np.zeros((6, 9, 3), np.uint8)}, "another picture"),
    ],
)
def test_what_cannot_be_continued(make, changed, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(**{"samples": 30, "earlier": make(20), **changed})


def test_no_draws_are_no_certificate(make):
    for samples in (0, 10**12):
        with pytest.raises(ValueError, match=f"samples={samples} should be from 1 to 100,000"):
            make(samples)


def test_what_draws_of_two_sittings_were_made_with_is_all_kept(make, subject):
    later = replace(subject, made_with={"engine": "torch", "numpy": "9"})
    continued = make(30, subject=later, earlier=make(20))
    assert continued.made_with == {"engine": "numpy, then torch", "numpy": "none, then 9"}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scores=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50),
    seed=st.integers(0, 2**63 - 1),
    request_=st.builds(Request, st.floats(0, 2), st.floats(0.5, 0.9999), st.booleans(), st.just(0.5)),
    file=st.text(max_size=20).filter(str.isprintable),
)
def test_a_file_gives_back_what_was_saved(tmp_path, make, scores, seed, request_, file):
    drawn = np.array(scores, np.float32)
    noise = Noise("discrete", 0.3, seed)
    start = make(5)
    saved = replace(
        start,
        noise=noise,
        request=request_,
        scores=drawn,
        picture=replace(start.picture, file=file),
        claim=make_claim(drawn, request_, noise, start.picture.size, (0, 1)),
    )
    saved.save(tmp_path / "saved.json")
    loaded = load_certificate(tmp_path / "saved.json")
    loaded.recheck()
    assert loaded.to_dict() == saved.to_dict()
    assert loaded.scores.dtype == np.float32
    assert loaded.scores.tolist() == scores
    assert (loaded.noise, loaded.request, loaded.claim) == (noise, request_, saved.claim)
    assert (loaded.metric, loaded.picture, loaded.limits) == (saved.metric, saved.picture, saved.limits)


def test_infinite_ends_survive_a_file(make, linear, tmp_path):
    saved = make(5, subject=linear(np.ones((3, 6, 9))), request=Request(1.0))
    assert saved.claim.low == -np.inf
    saved.save(tmp_path / "a.json")
    loaded = load_certificate(tmp_path / "a.json")
    loaded.recheck()
    assert (loaded.claim.low, loaded.claim.high, loaded.limits) == (-np.inf, np.inf, UNLIMITED)


def test_a_thousand_draws_take_little_room(make, tmp_path):
    make(1000).save(tmp_path / "a.json")
    assert (tmp_path / "a.json").stat().st_size < 7000


def test_nothing_half_written_is_left(make, tmp_path, monkeypatch):
    make(5).save(tmp_path / "a.json")
    before = (tmp_path / "a.json").read_text()
    monkeypatch.setattr("pathlib.Path.write_text", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(9).save(tmp_path / "a.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == before


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), character=st.characters(min_codepoint=32, max_codepoint=126))
def test_no_character_of_a_file_can_be_changed_unseen(tmp_path, make, place, character):
    certificate = make(20)
    text = json.dumps(certificate.to_dict(), indent=1)
    place %= len(text)
    changed = text[:place] + character + text[place + 1 :]
    path = tmp_path / "changed.json"
    path.write_text(changed)
    try:
        says = json.loads(changed)
    except ValueError:
        says = None
    if says == certificate.to_dict():
        # A space between two fields, or 1e-05 as 1E-05: what the file says is the same.
        assert load_certificate(path).to_dict() == certificate.to_dict()
        return
    with pytest.raises(ValueError, match=r"changed\.json"):
        load_certificate(path)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("low", 0.51, "states low 0.51 where its draws give"),
        ("high", 0.4, "states high 0.4"),
        ("score", 0.9, "states score 0.9"),
        ("lower_rank", 90, "states lower rank 90"),
        ("upper_rank", None, "states upper rank None"),
        ("coverage", 0.99999, "states coverage 0.99999"),
        ("charge", 0.0, "states charge 0.0"),
    ],
)
def test_wrong_arithmetic_is_named_even_under_a_fresh_digest(make, tmp_path, field, value, complaint):
    certificate = make()
    claim = certificate.to_dict()["claim"]
    assert claim[field] != value
    forged = load_certificate(written(tmp_path, resealed(certificate, claim=claim | {field: value})))
    with pytest.raises(CertificateError, match=complaint):
        forged.recheck()


def test_a_claim_of_another_radius_noise_or_picture_does_not_follow(make, tmp_path):
    certificate = make(1000)
    record = certificate.to_dict()
    for changed in (
        {"request": record["request"] | {"radius": 0.2}},
        {"request": record["request"] | {"confidence": 0.9999}},
        {"noise": record["noise"] | {"sigma": 0.5}},
        {"picture": record["picture"] | {"width": 90}},
    ):
        forged = load_certificate(written(tmp_path, resealed(certificate, **changed)))
        with pytest.raises(CertificateError, match="arithmetic is wrong"):
            forged.recheck()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"draws": 201}, "200 scores of 201 draws"),
        ({"scores": "AAA"}, "malformed"),
        ({"scores": 7}, "malformed"),
        ({"limits": [1, 0]}, "limits"),
        ({"limits": [0]}, "malformed"),
        ({"limits": "01"}, "malformed"),
        ({"metric": None}, "Part should have name, version, sha256"),
        ({"metric": {"name": 7, "version": "1", "sha256": None}}, "name is 7"),
        ({"metric": {"name": "m", "version": "1)\n  checked", "sha256": None}}, "control characters"),
        ({"made_with": {"engine": "onnx\x1b[8m"}}, "control characters"),
        ({"noise": {"kind": "white", "sigma": 0.1, "seed": 1}}, "'white' is not known"),
        ({"noise": {"kind": "discrete", "sigma": 0.1, "seed": True}}, "seed is True"),
        ({"noise": {"kind": "discrete", "sigma": "x", "seed": 1}}, "sigma is 'x'"),
        ({"request": {"radius": -1, "confidence": 0.9, "two_sided": True, "quantile": 0.5}}, "radius=-1"),
        ({"picture": {"file": "", "width": 0, "height": 1, "samples": "uint8", "sha256": ""}}, "0 x 1"),
        ({"claim": {}}, "malformed"),
        ({"made_with": None}, "malformed"),
        ({"extra": 1}, r"what it should not \(extra\)"),
    ],
)
def test_malformed_parts_are_told_under_a_fresh_digest(make, tmp_path, changed, complaint):
    with pytest.raises(CertificateError, match=complaint):
        load_certificate(written(tmp_path, resealed(make(), **changed)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5])
def test_scores_that_may_not_be(make, tmp_path, value):
    certificate = make()
    scores = certificate.scores.copy()
    scores[3] = value
    text = base64.b64encode(scores.tobytes()).decode()
    forged = load_certificate(written(tmp_path, resealed(certificate, scores=text)))
    with pytest.raises(CertificateError, match="outside the metric's range"):
        forged.recheck()


def test_a_certificate_without_draws_is_refused(make, tmp_path):
    forged = load_certificate(written(tmp_path, resealed(make(), scores="", draws=0)))
    with pytest.raises(CertificateError, match="no draws"):
        forged.recheck()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not JSON"),
        (b"\x89PNG\r\n\x1a\n\xff", "not JSON"),
        (b"[1, 2]", "no certificate of birqa's"),
        (b'{"kind": "other"}', "no certificate of birqa's"),
        (b'{"kind": 1, "kind": 2}', "a name comes twice"),
        (b'{"kind": NaN}', "holds NaN"),
        (b'{"kind": 1e999}', "the number 1e999, which is too large"),
        (b'{"kind": ' + b"9" * 5000 + b"}", r"the number 9+\.\.\., which is too large"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_certificate(tmp_path, content, complaint):
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=complaint) as caught:
        load_certificate(path)
    assert "odd.json" in str(caught.value)


def test_a_record_without_a_digest_is_not_one_with_an_empty_digest(make):
    record = make().to_dict() | {"limits": [float("-inf"), float("inf")], "sha256": ""}
    with pytest.raises(CertificateError, match="changed after it was written"):
        Certificate.from_dict(record)


def test_another_format_names_itself(make):
    with pytest.raises(ValueError, match="format 1, but this release of birqa reads 2"):
        Certificate.from_dict(make().to_dict() | {"format": 1})


def test_another_radius_from_the_same_draws(make):
    certificate = make(400)
    assert certificate.interval(certificate.request.radius) == certificate.claim
    small, large = certificate.interval(0.0), certificate.interval(0.3)
    assert large.low < certificate.claim.low < small.low
    assert small.high < certificate.claim.high < large.high


def test_whose_certificate_it_is(make, subject, picture):
    certificate = make()
    check_picture(certificate, identify(picture, "another name"))
    check_subject(certificate, subject)
    other = picture.copy()
    other[3, 3, 1] ^= 1
    for pixels, complaint in (
        (other, "another picture .the size is the same"),
        (picture[:5], "6 x 9|9 x 6 pixels, not 9 x 5"),
        (picture.astype(np.float32) / 255, "another picture"),
    ):
        with pytest.raises(CertificateError, match=complaint):
            check_picture(certificate, identify(pixels))
    for changed, complaint in (
        (
            {"metric": replace(subject.metric, sha256="cd" * 32)},
            "other weights, graph or configuration .sha256 abababababab, not cdcd",
        ),
        ({"metric": replace(subject.metric, version="2")}, r"metric mean.test 1, not mean.test 2"),
        ({"denoiser": Part("d.x", "3", "00")}, "denoiser none, not d.x 3"),
        ({"reference": identify(picture)}, "score with no reference"),
        ({"limits": (0.0, 2.0)}, "scores from 0 to 1, the metric gives 0 to 2"),
    ):
        with pytest.raises(CertificateError, match=complaint):
            check_subject(certificate, replace(subject, **changed))


def test_the_reference_is_part_of_it(make, subject, picture):
    certificate = make(subject=replace(subject, reference=identify(picture, "ref.png")))
    check_subject(certificate, replace(subject, reference=identify(picture)))
    with pytest.raises(CertificateError, match="another reference"):
        check_subject(certificate, replace(subject, reference=identify(picture[::-1])))
    with pytest.raises(CertificateError, match="score with a reference"):
        check_subject(certificate, subject)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((-0.1, 0.9), r"radius=-0\.1"),
        ((float("nan"), 0.9), "radius=nan"),
        ((1e7, 0.9), "radius=10000000"),
        ((0.1, 1.0), r"confidence=1\.0"),
        ((0.1, 0.49), r"confidence=0\.49"),
        ((0.1, 99.9), r"confidence=99\.9"),
        ((0.1, 0.9, True, 0.0), r"quantile=0\.0"),
    ],
)
def test_requests_out_of_range(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        Request(*arguments)
