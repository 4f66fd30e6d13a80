"""Certificates of a real no-reference metric behind a real denoiser: tiny ones, on both engines."""

import numpy as np
import pytest

import birqa
from birqa.certify.certificate import CertificateError, Request, certify
from birqa.certify.denoising import DENOISER, load_denoiser
from birqa.certify.identity import Part, identify
from birqa.certify.noise import Noise
from birqa.certify.smoothed import score_draws
from birqa.certify.subject import CERTIFIED, create_subject
from birqa.certify.verification import redraw, subject_of
from birqa.export import save_single
from birqa.model import load_model
from birqa.registry import find_model

ENGINES = ["onnx", "torch"]
NOISE = Noise("discrete", 0.12, 5)


@pytest.fixture(scope="module")
def subjects(blind_model, denoiser_model):
    return {
        engine: create_subject(blind_model, denoiser_model, engine=engine, threads=1) for engine in ENGINES
    }


def certified(subject, pixels, samples=60):
    return certify(subject, pixels, identify(pixels, "photo.png"), NOISE, Request(0.03, 0.9), samples)


def test_both_parts_are_named_with_their_weights(subjects, blind_model, denoiser_model):
    for subject in subjects.values():
        for part, folder in ((subject.metric, blind_model), (subject.denoiser, denoiser_model)):
            model = load_model(folder)
            assert part == Part(model.name, "7", model.digest)
        assert subject.limits == (0, 1)
        assert subject.reference is None


def test_a_draw_is_the_score_of_the_cleaned_noisy_picture(subjects, scenes, blind_model, denoiser_model):
    pixels = scenes[3]
    noisy = np.stack([NOISE.draw(index, pixels.transpose(2, 0, 1)) for index in range(4)])
    cleaned = load_denoiser(denoiser_model, threads=1)(noisy)
    due = birqa.create_metric(blind_model, threads=1)(cleaned.transpose(0, 2, 3, 1))
    for subject in subjects.values():
        np.testing.assert_allclose(subject.score(noisy), due, rtol=0, atol=1e-4)
    plain = create_subject(blind_model, "none", threads=1)
    due = birqa.create_metric(blind_model, threads=1)(noisy.clip(0, 1).transpose(0, 2, 3, 1))
    np.testing.assert_allclose(plain.score(noisy), due, rtol=0, atol=1e-5)


@pytest.mark.parametrize("there", ENGINES)
def test_what_is_certified_verifies_on_either_engine(subjects, scenes, there, blind_model, denoiser_model):
    certificate = certified(subjects[there], scenes[2])
    certificate.recheck()
    assert certificate.claim.is_bounded
    assert 0 <= certificate.claim.low < certificate.claim.score < certificate.claim.high <= 1
    assert len(set(certificate.scores.tolist())) > 50
    for engine in ENGINES:
        subject = subject_of(certificate, blind_model, denoiser_model, engine=engine, threads=1)
        again = redraw(certificate, subject, scenes[2], 20)
        assert (again.count, again.n) == (20, 60)
        assert again.difference < (1e-5 if engine == there else 1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_how_many_are_scored_at_once_does_not_matter(subjects, scenes, engine):
    pixels = scenes[4][:33, :47]
    draws = range(7)
    two = score_draws(subjects[engine].score, pixels, NOISE, draws, memory=2 * 33 * 47 * 1024)
    all_at_once = score_draws(subjects[engine].score, pixels, NOISE, draws)
    np.testing.assert_allclose(two, all_at_once, rtol=0, atol=1e-5)


def test_a_certificate_may_be_continued(subjects, scenes):
    subject, pixels = subjects["onnx"], scenes[5]
    first = certified(subject, pixels, 20)
    whole = certify(
        subject, pixels, identify(pixels, "photo.png"), NOISE, Request(0.03, 0.9), 60, earlier=first
    )
    np.testing.assert_allclose(whole.scores, certified(subject, pixels).scores, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(whole.scores[:20], first.scores)


def test_other_weights_and_other_pictures_are_refused(
    subjects, scenes, blind_model, denoiser_model, tiny_denoiser, tmp_path
):
    certificate = certified(subjects["onnx"], scenes[2], 20)
    other = tiny_denoiser(widths=(4, 8))
    save_single(other, tmp_path / "other", name="denoiser.tiny", version="7", card={})
    with pytest.raises(CertificateError, match=r"denoiser denoiser\.tiny 7 with other weights"):
        subject_of(certificate, blind_model, tmp_path / "other", threads=1)
    with pytest.raises(CertificateError, match=r"denoiser denoiser\.tiny 7, not none"):
        subject_of(certificate, blind_model, "none", threads=1)
    changed = scenes[2].copy()
    changed[3, 4, 1] ^= 1
    with pytest.raises(CertificateError, match="another picture"):
        redraw(certificate, subjects["onnx"], changed, 5)


def test_what_does_not_go_together_is_refused(blind_model, denoiser_model, tiny_model, scenes):
    with pytest.raises(ValueError, match="looks at no reference: leave --ref out"):
        create_subject(blind_model, "none", ref=scenes[0], threads=1)
    with pytest.raises(ValueError, match=r"blind\.tiny scores single pictures .* cleans pictures"):
        create_subject(blind_model, blind_model, threads=1)
    with pytest.raises(ValueError, match=r"denoiser\.tiny cleans pictures"):
        create_subject(denoiser_model, "none", threads=1)
    small = np.zeros((31, 40, 3), np.uint8)
    subject = create_subject(blind_model, denoiser_model, threads=1)
    with pytest.raises(ValueError, match="pictures are 40x31, but each side must be at least 32"):
        certified(subject, small, 3)


def test_a_denoiser_before_a_full_reference_metric(tiny_model, denoiser_model, scenes):
    subject = create_subject(tiny_model, denoiser_model, ref=scenes[1], threads=1)
    certificate = certified(subject, scenes[1], 12)
    assert certificate.denoiser.name == "denoiser.tiny"
    assert redraw(certificate, subject, scenes[1], 4).difference < 1e-6


def test_the_shipped_metric_is_fitted_behind_the_shipped_denoiser():
    metric, denoiser = find_model(CERTIFIED, "no-reference"), find_model(DENOISER, "denoiser")
    assert metric.config.denoiser == DENOISER
    assert metric.card["training"]["denoiser"] == denoiser.label
