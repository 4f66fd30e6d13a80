"""The denoiser: it starts as nothing, keeps sizes, and runs alike on both engines."""

import numpy as np
import pytest
import torch

from birqa.blind.config import DenoiserConfig
from birqa.blind.denoiser import Denoiser
from birqa.certify.denoising import load_denoiser
from birqa.export import save_single
from birqa.model import ModelError

NOISY = np.random.default_rng(0).normal(0.5, 0.4, (2, 3, 48, 64)).astype(np.float32)


@pytest.mark.parametrize("widths", [(4, 6), (4, 6, 8), (16, 32, 64, 96)])
def test_it_starts_as_the_identity_on_clamped_pictures(widths):
    module = Denoiser(DenoiserConfig(widths=widths))
    noisy = torch.from_numpy(NOISY)
    assert torch.equal(module(noisy), noisy.clamp(0, 1))


@pytest.mark.parametrize(("widths", "fold", "multiple"), [((4, 6), 2, 4), ((4, 4, 4), 1, 4), ((4, 6), 3, 6)])
def test_sides_are_multiples_of_the_fold_and_the_depth(widths, fold, multiple):
    config = DenoiserConfig(widths=widths, fold=fold)
    assert config.multiple == multiple
    module = Denoiser(config)
    for height, width in ((multiple, multiple), (3 * multiple, 5 * multiple)):
        assert module(torch.rand(2, 3, height, width)).shape == (2, 3, height, width)


def test_every_weight_has_a_gradient_once_the_last_layer_has_moved(tiny_denoiser):
    module = tiny_denoiser()
    module(torch.from_numpy(NOISY)).square().mean().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_from_the_start_the_last_layer_learns():
    module = Denoiser(DenoiserConfig(widths=(4, 6)))
    noisy = torch.from_numpy(NOISY)
    (module(noisy) - 0.5).square().mean().backward()
    assert module.last.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": (8,)}, "a denoiser needs two widths or more"),
        ({"fold": 0}, "a denoiser needs two widths or more"),
        ({"sigma": (0.2, 0.1)}, "should be the lower and the upper end"),
        ({"sigma": (-0.1, 0.1)}, "should be the lower and the upper end"),
        ({"sigma": (0.1,)}, "should be the lower and the upper end"),
    ],
)
def test_configurations_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DenoiserConfig(**settings)


@pytest.fixture(scope="module")
def loaded(denoiser_model):
    return {engine: load_denoiser(denoiser_model, engine=engine, threads=1) for engine in ("onnx", "torch")}


@pytest.mark.parametrize("size", [(48, 64), (33, 47), (5, 70), (1, 1)])
def test_engines_agree_and_keep_the_size(loaded, size):
    noisy = NOISY[:, :, : size[0], : size[1]]
    noisy = np.resize(noisy, (2, 3, *size))
    before = noisy.copy()
    one, other = (denoiser(noisy) for denoiser in loaded.values())
    assert one.shape == other.shape == (2, 3, *size)
    assert one.dtype == other.dtype == np.float32
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    assert one.min() >= 0
    assert one.max() <= 1
    np.testing.assert_array_equal(noisy, before)
    assert np.abs(one - noisy.clip(0, 1)).max() > 1e-3


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_batch_is_cleaned_as_its_pictures_alone(loaded, engine):
    together = loaded[engine](NOISY)
    for index in range(2):
        alone = loaded[engine](NOISY[index : index + 1])
        np.testing.assert_allclose(together[index], alone[0], rtol=0, atol=1e-6)


def test_the_module_is_what_runs(loaded, tiny_denoiser):
    with torch.no_grad():
        expected = tiny_denoiser()(torch.from_numpy(NOISY)).numpy()
    for denoiser in loaded.values():
        np.testing.assert_allclose(denoiser(NOISY), expected, rtol=0, atol=1e-5)


def test_the_model_says_what_it_is(loaded):
    for engine, denoiser in loaded.items():
        assert denoiser.model.name == "denoiser.tiny"
        assert denoiser.model.kind == "denoiser"
        assert type(denoiser.engine).__name__.lower().strip("_") == engine


def test_changed_weights_do_not_pass_the_self_test(tiny_denoiser, tmp_path):
    import json

    folder = tmp_path / "model"
    save_single(tiny_denoiser(), folder, name="denoiser.odd", version="1", card={})
    record = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(record | {"self_test": record["self_test"] + 0.01}))
    for engine in ("onnx", "torch"):
        with pytest.raises(ModelError, match=r"denoiser\.odd scores .* on its self-test"):
            load_denoiser(folder, engine=engine)


def test_a_metric_is_no_denoiser(blind_model):
    with pytest.raises(ValueError, match=r"blind\.tiny scores single pictures \(birqa blind\), but what is"):
        load_denoiser(blind_model)
    with pytest.raises(ValueError, match="there is no"):
        load_denoiser("denoiser.nothing")
