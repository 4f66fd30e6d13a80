"""What is certified: metrics of birqa with and without a reference, denoisers, and anybody's functions."""

import sys
import types
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from birqa.certify.denoising import DENOISER
from birqa.certify.identity import Part, identify
from birqa.certify.subject import CERTIFIED, FROZEN, UNLIMITED, create_subject
from birqa.evaluation.functions import score_of_pictures
from birqa.registry import find_model

NOISY = np.random.default_rng(3).normal(0.5, 0.5, (4, 3, 8, 9)).astype(np.float32)


def model(name, **config):
    kind = "denoiser" if name.startswith("denoiser") else "no-reference"
    settings = SimpleNamespace(**({"noise": (), "denoiser": ""} | config))
    return SimpleNamespace(kind=kind, name=name, version="3", digest="ab" * 32, config=settings)


@dataclass
class Blind:
    """A no-reference metric as birqa makes them: the mean, between .25 and .75."""

    model: SimpleNamespace = field(default_factory=lambda: model("blind.test"))
    info: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(name="blind.test", version="3", range=(0.25, 0.75))
    )
    settings: dict = field(default_factory=lambda: {"engine": "numpy", "device": "cpu", "weights": "abab"})

    def batch(self, pictures):
        assert pictures.min() >= 0
        assert pictures.max() <= 1
        return 0.25 + pictures.mean(axis=(1, 2, 3)) / 2


@pytest.fixture
def blind(monkeypatch):
    """`create_any` gives a no-reference metric, `load_denoiser` a denoiser that makes all grey. Some
    metrics are fitted to noisy pictures."""
    asked = []
    fitted = {
        CERTIFIED: {"noise": (0.1, 0.2), "denoiser": DENOISER},
        "blind.alone": {"noise": (0.1, 0.2)},
        "blind.behind": {"noise": (0.1, 0.2), "denoiser": "denoiser.before"},
    }

    def create(name, **how):
        asked.append((name, how))
        return Blind(model("blind.test", **fitted.get(name, {})))

    class Denoiser:
        def __init__(self, name):
            self.model = model(name, sigma=(0.0, 0.25))

        def __call__(self, noisy):
            return np.full_like(noisy, 0.5)

    def load(name, **how):
        asked.append((name, how))
        return Denoiser(name)

    monkeypatch.setattr("birqa.certify.subject.load_denoiser", load)
    monkeypatch.setattr("birqa.metric.create_any", create)
    return asked


@pytest.mark.parametrize(
    ("named", "looked_up"),
    [
        ({}, [CERTIFIED, DENOISER]),
        ({"denoiser": DENOISER}, [CERTIFIED, DENOISER]),
        ({"denoiser": "denoiser"}, [CERTIFIED, DENOISER]),
        ({"metric": "blind", "denoiser": "denoiser"}, ["blind", DENOISER]),
        ({"denoiser": "none"}, [FROZEN]),
        ({"denoiser": "denoiser.mine"}, [FROZEN, "denoiser.mine"]),
        ({"metric": "blind.alone"}, ["blind.alone"]),
        ({"metric": "blind"}, ["blind", "denoiser.blind"]),
        ({"metric": "blind.behind"}, ["blind.behind", "denoiser.before"]),
        ({"metric": "blind.behind", "denoiser": "denoiser.mine"}, ["blind.behind", "denoiser.mine"]),
        ({"metric": "blind.behind", "denoiser": "none"}, ["blind.behind"]),
    ],
)
def test_a_metric_has_the_denoiser_that_it_was_fitted_with_unless_another_is_named(blind, named, looked_up):
    subject = create_subject(**named)
    assert [name for name, _ in blind] == looked_up
    assert (subject.denoiser is None) == (len(looked_up) == 1)


def test_noise_that_a_metric_was_not_fitted_to_is_pointed_out(blind):
    subject = create_subject()
    assert [subject.unsuited(sigma) for sigma in (0.1, 0.15, 0.2)] == [None] * 3
    for sigma in (0.09, 0.5):
        assert f"fitted to noise of 0.1 to 0.2, not of {sigma}" in subject.unsuited(sigma)
    complaint = create_subject("blind").unsuited(0.5)
    assert "denoiser.blind is trained for noise of 0 to 0.25, not of 0.5" in complaint
    assert create_subject("blind").unsuited(0.2) is None
    assert create_subject("blind", "none").unsuited(0.5) is None


def test_another_denoiser_than_the_metric_was_fitted_behind_is_pointed_out(blind):
    assert create_subject("blind.alone").unsuited(0.15) is None
    assert create_subject("blind.behind").unsuited(0.15) is None
    for other in ("none", "denoiser.mine"):
        complaint = create_subject("blind.behind", other).unsuited(0.15)
        assert f"fitted behind the denoiser denoiser.before, not behind {other}" in complaint


def test_a_no_reference_metric_stands_behind_its_denoiser(blind):
    subject = create_subject("blind", threads=2)
    how = {"engine": "auto", "device": None, "threads": 2}
    assert blind == [("blind", how), ("denoiser.blind", how)]
    assert subject.metric == Part("blind.test", "3", "ab" * 32)
    assert subject.denoiser == Part("denoiser.blind", "3", "ab" * 32)
    assert (subject.limits, subject.reference) == ((0.25, 0.75), None)
    assert subject.made_with["engine"] == "numpy"
    assert subject.made_with["threads"] == "2"
    assert subject.score(NOISY).tolist() == [0.5] * 4


def test_without_a_denoiser_pictures_are_clamped(blind):
    subject = create_subject("blind", "none")
    assert blind[1:] == []
    assert subject.denoiser is None
    before = NOISY.copy()
    assert subject.score(NOISY) == pytest.approx(0.25 + NOISY.clip(0, 1).mean(axis=(1, 2, 3)) / 2)
    assert np.array_equal(NOISY, before)


def test_a_no_reference_metric_looks_at_no_reference(blind):
    with pytest.raises(ValueError, match=r"blind.test looks at no reference: leave --ref out"):
        create_subject("blind", ref=np.zeros((8, 9, 3), np.uint8))


def test_a_full_reference_metric_compares_each_noisy_picture(photographs, metric_of):
    ref = photographs[1]
    subject = create_subject(ref=ref, ref_file="parrots.png", threads=1)
    record = find_model("birqa")
    assert subject.metric == Part(record.name, record.version, record.digest)
    assert (subject.denoiser, subject.limits) == (None, (0, 1))
    assert subject.reference == identify(ref, "parrots.png")
    assert subject.reference.file == "parrots.png"
    assert {"birqa", "numpy", "onnxruntime", "engine", "device", "threads"} == set(subject.made_with)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 3, 96, 128))
    noisy = (ref.transpose(2, 0, 1)[None] / 255 + noise).astype(np.float32)
    due = metric_of()(noisy.clip(0, 1).transpose(0, 2, 3, 1), ref)
    assert subject.score(noisy) == pytest.approx(due, abs=1e-6)


def test_a_full_reference_metric_needs_its_reference():
    with pytest.raises(ValueError, match="compares with a reference: give one with --ref"):
        create_subject("birqa", threads=1)


@pytest.fixture
def functions(monkeypatch):
    """python:their_metrics:..."""
    theirs = types.ModuleType("their_metrics")
    theirs.mean = lambda pictures: pictures.mean(axis=(1, 2, 3), keepdims=True)
    theirs.closeness = lambda dist, ref: 1 - np.abs(dist - ref / 255).mean()
    theirs.of_tensors = lambda pictures: pictures.mean((1, 2, 3)).detach().sigmoid()
    theirs.words = lambda pictures: ["good"] * len(pictures)
    theirs.constant = 7
    monkeypatch.setitem(sys.modules, "their_metrics", theirs)


def test_anybodys_function(functions):
    subject = create_subject("python:their_metrics:mean")
    assert subject.metric == Part("python:their_metrics:mean", "", None)
    assert (subject.limits, subject.denoiser) == (UNLIMITED, None)
    assert subject.score(NOISY) == pytest.approx(NOISY.clip(0, 1).mean(axis=(1, 2, 3)))


def test_a_function_for_torch_alone_is_given_tensors(functions):
    pytest.importorskip("torch")
    subject = create_subject("python:their_metrics:of_tensors")
    for _ in range(2):
        means = NOISY.clip(0, 1).mean(axis=(1, 2, 3))
        assert subject.score(NOISY) == pytest.approx(1 / (1 + np.exp(-means)), abs=1e-6)


def test_what_a_function_gave_instead_of_numbers_is_named(functions):
    with pytest.raises(
        ValueError, match=r"python:their_metrics:words gave \['good'.*where one number a pict"
    ):
        create_subject("python:their_metrics:words").score(NOISY)


def test_anybodys_full_reference_function(functions):
    ref = np.full((8, 9, 3), 51, np.uint8)
    subject = create_subject("python:their_metrics:closeness", ref=ref)
    assert subject.metric.name == "python:their_metrics:closeness"
    clamped = NOISY.clip(0, 1)
    assert subject.score(NOISY) == pytest.approx(1 - np.abs(clamped - 0.2).mean(axis=(1, 2, 3)))


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("python:their_metrics:absent", "their_metrics has no callable absent"),
        ("python:no.such.module:absent", "no.such.module cannot be imported"),
        ("python:their_metrics:constant", "their_metrics has no callable constant"),
        ("python:their_metrics", "should be python:package.module:name"),
        ("piq:vsi", "names no no-reference metric"),
        ("nonsense", "there is no metric 'nonsense'"),
    ],
)
def test_specs_that_name_nothing(functions, spec, complaint):
    with pytest.raises(ValueError, match=complaint):
        create_subject(spec)


@pytest.mark.parametrize("spec", ["csv:scores.csv", "-command:tool {dist}"])
def test_metrics_of_files_cannot_be_smoothed(spec):
    with pytest.raises(ValueError, match="scores files"):
        create_subject(spec, ref=np.zeros((8, 9, 3), np.uint8))


def test_several_devices_score_as_one(blind):
    alone = create_subject("blind", "none", device="cpu")
    shared = create_subject("blind", "none", device="cpu,cpu,cpu")
    for count in (1, 2, 4):
        np.testing.assert_array_equal(shared.score(NOISY[:count]), alone.score(NOISY[:count]))
    assert shared.metric == alone.metric
    assert shared.made_with["device"] == "cpu,cpu,cpu"


def test_a_metric_of_pyiqa_takes_the_place_of_ours(monkeypatch):
    torch = pytest.importorskip("torch")

    class Mean(torch.nn.Module):
        metric_mode = "NR"
        lower_better = False

        def forward(self, pictures):
            return pictures.mean((1, 2, 3))[:, None]

    class Falls(Mean):
        lower_better = True

    class Compares(Mean):
        metric_mode = "FR"

    package = types.SimpleNamespace(
        create_metric=lambda name, device: {"mean": Mean, "falls": Falls, "compares": Compares}[name]()
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("importlib.import_module", lambda name: package)
    subject = create_subject("pyiqa:mean")
    np.testing.assert_allclose(subject.score(NOISY), NOISY.clip(0, 1).mean((1, 2, 3)), rtol=1e-5)
    assert (str(subject.metric), subject.denoiser, subject.limits) == ("pyiqa:mean", None, UNLIMITED)
    # A certificate is of the scores that people know, an evaluation of those that rise with quality.
    np.testing.assert_array_equal(create_subject("pyiqa:falls").score(NOISY), subject.score(NOISY))
    pictures = NOISY.clip(0, 1)
    for name, sign in (("mean", 1), ("falls", -1)):
        turned = score_of_pictures(f"pyiqa:{name}", turned=True)(pictures)
        np.testing.assert_allclose(turned, sign * pictures.mean((1, 2, 3)), rtol=1e-5)
    with pytest.raises(ValueError, match="compares with a reference: give one with --ref"):
        create_subject("pyiqa:compares")
