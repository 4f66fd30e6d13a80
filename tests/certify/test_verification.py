"""Drawing again: what comes out, what a forger is caught with, and what is not run on a file's word."""

from dataclasses import replace

import numpy as np
import pytest

from birqa.certify import verification
from birqa.certify.certificate import CertificateError, make_claim
from birqa.certify.identity import Part, identify
from birqa.certify.verification import Redrawn, redraw, subject_of, withstanding


def with_scores(certificate, scores):
    """A consistent certificate of made-up draws."""
    claim = make_claim(
        scores, certificate.request, certificate.noise, certificate.picture.size, certificate.limits
    )
    return replace(certificate, scores=scores.astype(np.float32), claim=claim)


def test_honest_draws_come_out_again(make, subject, picture):
    some = redraw(make(), subject, picture)
    assert (some.count, some.n) == (50, 200)
    assert some.difference <= 1e-6
    every = redraw(make(), subject, picture, 10**6)
    assert (every.count, every.noticed) == (200, 0)


def test_which_draws_are_looked_at_cannot_be_known(make, subject, picture, monkeypatch):
    chosen = []

    def watched(score, pixels, noise, draws, *rest, **named):
        chosen.append(tuple(draws))
        return np.zeros(len(draws), np.float32)

    monkeypatch.setattr(verification, "score_draws", watched)
    certificate = with_scores(make(), np.zeros(200))
    for _ in range(3):
        redraw(certificate, subject, picture, 20)
    assert len(set(chosen)) == 3
    assert all(len(set(draws)) == 20 and max(draws) < 200 for draws in chosen)


def test_moved_draws_are_refused(make, subject, picture):
    certificate = make()
    spread = certificate.scores.std()
    for forged in (certificate.scores + spread / 10, certificate.scores[::-1]):
        made_up = with_scores(certificate, forged)
        made_up.recheck()
        with pytest.raises(CertificateError, match=r"of 50 draws do not come out again: draw \d+ is"):
            redraw(made_up, subject, picture)


def test_few_moved_draws_are_found_as_often_as_stated(make, subject, picture):
    certificate = make(100)
    share = Redrawn(30, 100, 0.0, 0.0).noticed
    scores = certificate.scores.copy()
    scores[: int(np.ceil(share * 100))] += 0.01
    found = 0
    for _ in range(100):
        try:
            redraw(with_scores(certificate, scores), subject, picture, 30)
        except CertificateError:
            found += 1
    assert found >= 88


def test_the_last_digits_may_differ(make, subject, picture):
    little = make().scores.std() / 100
    nearly = with_scores(make(), make().scores + little)
    assert redraw(nearly, subject, picture).difference == pytest.approx(little, rel=0.01)
    with pytest.raises(CertificateError, match="do not come out"):
        redraw(nearly, subject, picture, tolerance=0.001)


def test_scores_of_any_size_are_told_from_made_up_ones(make, subject, picture):
    tiny = replace(subject, score=lambda noisy: 1e-5 * subject.score(noisy))
    honest = make(subject=tiny)
    assert redraw(honest, tiny, picture).count == 50
    with pytest.raises(CertificateError, match="do not come out"):
        redraw(with_scores(honest, np.full(200, 9e-5)), tiny, picture)


def test_an_interval_that_stands_with_some_draws_made_up(make):
    certificate = make()
    ordered, claim = np.sort(certificate.scores), certificate.claim
    assert withstanding(certificate, 0) == (claim.low, claim.high)
    assert withstanding(certificate, 3) == (ordered[claim.lower_rank - 4], ordered[claim.upper_rank + 2])
    assert withstanding(certificate, 200) == certificate.limits
    assert withstanding(certificate, 0, 0.01) == pytest.approx((claim.low - 0.01, claim.high + 0.01))
    assert withstanding(certificate, 0, 1000) == certificate.limits
    # Whatever a forger makes of three draws, honest ones have their ends within.
    rng = np.random.default_rng(0)
    for _ in range(50):
        forged = certificate.scores.copy()
        forged[rng.choice(200, 3, replace=False)] = rng.choice([0, 1, claim.score])
        low, high = withstanding(with_scores(certificate, forged), 3)
        assert low <= claim.low
        assert claim.high <= high


def test_how_many_may_be_made_up_unnoticed():
    assert Redrawn(50, 200, 0.0, 0.0).unnoticed == 11
    assert Redrawn(200, 200, 0.0, 0.0).unnoticed == 0
    assert Redrawn(2, 3, 0.0, 0.0).unnoticed == 1


def test_another_maker_is_named(make, subject, picture):
    elsewhere = replace(subject, score=lambda noisy: subject.score(noisy) * 0.9, made_with={"numpy": "9.9"})
    with pytest.raises(CertificateError, match=r"engine numpy there, none here; numpy none there, 9\.9 here"):
        redraw(make(), elsewhere, picture)


def test_another_picture_or_metric(make, subject, picture):
    with pytest.raises(CertificateError, match="another picture"):
        redraw(make(), subject, picture[::-1])
    with pytest.raises(CertificateError, match="other weights"):
        redraw(make(), replace(subject, metric=Part("mean.test", "1", "00")), picture)
    with pytest.raises(ValueError, match="redraw=0"):
        redraw(make(), subject, picture, 0)


def test_code_that_a_file_names_is_not_imported(make, subject, monkeypatch):
    code = replace(make(), metric=Part("python:antigravity:geohash", "", None))
    monkeypatch.setattr("importlib.import_module", lambda name: pytest.fail(name))
    with pytest.raises(ValueError, match="somebody's code: if you trust it, name it with --metric"):
        subject_of(code)


def test_the_subject_is_looked_for_by_its_name(make, subject, picture, monkeypatch):
    asked = []

    def create(metric, denoiser, ref, **how):
        asked.append((metric, denoiser, ref, how))
        return subject

    monkeypatch.setattr(verification, "create_subject", create)
    assert subject_of(make(), threads=2) is subject
    how = {"ref_file": "", "engine": "auto", "device": None, "threads": 2}
    assert asked[0] == ("mean.test", "none", None, how)
    subject_of(make(), metric="folder", denoiser="other")
    assert asked[1][:2] == ("folder", "other")
    monkeypatch.setattr(verification, "create_subject", lambda *_, **__: replace(subject, limits=(0, 2)))
    with pytest.raises(CertificateError, match="scores from"):
        subject_of(make())
    with pytest.raises(ValueError, match="give it with --ref"):
        subject_of(replace(make(), reference=identify(picture)))
