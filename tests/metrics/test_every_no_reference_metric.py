"""What every no-reference metric keeps to, on every engine; a tiny untrained one is always among them."""

import pickle
import shutil
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import birqa
from birqa.certify.subject import create_subject
from birqa.engines.single import probe
from birqa.metric import NoReferenceMetric
from birqa.model import ModelError, check_self_test

pytestmark = pytest.mark.filterwarnings("ignore:.* is fitted to noisy pictures")

ENGINES = ["onnx", "torch"]
TINY = "tiny"
NAMES = [TINY, *birqa.list_metrics("no-reference")]

each_name = pytest.mark.parametrize("name", NAMES)
each_engine = pytest.mark.parametrize("engine", ENGINES)


def each(test):
    return each_name(each_engine(test))


@pytest.fixture(scope="module")
def place(blind_model):
    """place(name): what `create_metric` takes."""
    return lambda name: blind_model if name == TINY else name


@pytest.fixture(scope="module")
def made(place):
    kept = {}

    def make(name, engine):
        if (name, engine) not in kept:
            kept[name, engine] = birqa.create_metric(place(name), engine=engine, threads=1)
        return kept[name, engine]

    return make


@pytest.fixture
def metric(name, engine, made):
    return made(name, engine)


@pytest.fixture
def differentiable(name, place):
    return birqa.create_metric(place(name), grad=True, threads=1)


def unit(picture):
    return picture.astype(np.float32) / np.float32(255)


def planes(*pictures):
    """uint8 (H, W, 3) each -> a uint8 tensor (N, 3, H, W)."""
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())


def random_picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


GOOD = random_picture(40, 56)


@each
def test_the_engine_computes_what_was_trained(metric):
    assert isinstance(metric, NoReferenceMetric)
    check_self_test(metric.model, lambda image, _: probe(metric.engine.run, image))


# What a score depends on


@each
def test_scoring_twice_gives_the_same_bits_and_tells_pictures_apart(metric, photographs):
    first, second = metric(photographs), metric(photographs)
    assert first.tobytes() == second.tobytes()
    assert len(set(first.tolist())) == 3
    assert ((first[:2] > 0) & (first[:2] < 1)).all()
    # The third is a made picture, which may be worse than any photograph.
    assert 0 <= first[2] < 1


@each
def test_it_goes_to_another_process_and_comes_back(metric, photographs):
    there = pickle.loads(pickle.dumps(metric))
    assert there.info == metric.info
    assert there.settings == metric.settings
    assert np.array_equal(there(photographs), metric(photographs))


@each
def test_a_list_scores_as_its_pictures_alone_and_in_any_order(metric, photographs):
    alone = np.concatenate([metric(picture) for picture in photographs])
    np.testing.assert_array_equal(metric(np.stack(photographs)), alone)
    order = [2, 0, 1]
    np.testing.assert_array_equal(metric([photographs[k] for k in order]), alone[order])


@each
def test_a_tensor_batch_scores_as_its_pictures_alone_and_in_any_order(metric, photographs):
    together = metric(planes(*photographs))
    alone = torch.cat([metric(planes(picture)) for picture in photographs])
    # Sums of a thousand terms, in another order.
    torch.testing.assert_close(together, alone, rtol=0, atol=3e-5)
    order = [2, 0, 1]
    torch.testing.assert_close(metric(planes(*photographs)[order]), together[order], rtol=0, atol=3e-5)


@each
def test_what_certificates_call_gives_the_same_scores(metric, photographs):
    pictures = np.stack([unit(picture).transpose(2, 0, 1) for picture in photographs])
    scores = metric.batch(pictures)
    assert scores.dtype == np.float32
    # Sums of a thousand terms, in another order.
    np.testing.assert_allclose(scores, metric(photographs), rtol=0, atol=3e-5)


@each_name
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (96, 127), (65, 34)])
def test_engines_agree(name, made, photographs, size):
    pictures = [picture[: size[0], : size[1]] for picture in photographs]
    pictures.append(random_picture(*size))
    scores = [made(name, engine)(pictures) for engine in ENGINES]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-4)
    for some in scores:
        assert np.isfinite(some).all()
        assert ((some >= 0) & (some <= 1)).all()


@each_name
@pytest.mark.parametrize("level", [0, 1, 128, 200, 255])
def test_engines_nearly_agree_on_flat_pictures(name, made, level):
    """The logarithm of a local contrast of nothing but rounding is in them."""
    flat = np.full((40, 57, 3), level, np.uint8)
    scores = [made(name, engine)(flat) for engine in ENGINES]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-3)
    assert ((scores[0] >= 0) & (scores[0] <= 1)).all()


@each_name
def test_engines_agree_on_noisy_pictures(name, made, photographs, damage):
    pictures = [damage("noise", picture, sigma) for picture in photographs for sigma in (8, 31)]
    scores = [made(name, engine)(pictures) for engine in ENGINES]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-4)


@each
def test_the_number_of_threads_does_not_matter(name, engine, metric, place, photographs):
    threads = torch.get_num_threads()
    try:
        one = metric(photographs)
        two = birqa.create_metric(place(name), engine=engine, threads=2)(photographs)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-5)


@each
def test_scoring_leaves_the_picture_as_it_was(metric, photographs):
    picture = unit(photographs[0])[:33, :47]
    before = picture.copy()
    metric(picture)
    np.testing.assert_array_equal(picture, before)
    tensor = planes(photographs[0]).float() / 255
    kept = tensor.clone()
    metric(tensor)
    metric.batch(tensor.numpy())
    assert torch.equal(tensor, kept)


# What can be given, and what comes back


@each
def test_every_kind_of_input_gives_the_same_score(metric, photographs, tmp_path):
    picture, path = photographs[0], tmp_path / "picture.png"
    Image.fromarray(picture).save(path)
    expected = metric(picture)
    kinds = {
        "path": path,
        "str": str(path),
        "Pillow": Image.open(path),
        "float": unit(picture),
        "double": picture / 255,
        "16 bits": picture.astype(np.uint16) * 257,
        "batch of one": picture[None],
        "list of one": [picture],
        "list of a path": [path],
        "not contiguous": np.asfortranarray(picture),
        "float, not contiguous": np.asfortranarray(unit(picture)),
        "read only": picture,
        "uint8 tensor": planes(picture),
        "float tensor": planes(picture).float() / 255,
        "double tensor": planes(picture).double() / 255,
    }
    for kind, image in kinds.items():
        np.testing.assert_allclose(np.asarray(metric(image)), expected, rtol=0, atol=2e-5, err_msg=kind)


@each
def test_arrays_give_a_float32_array_and_tensors_give_a_tensor(metric, photographs):
    scores = metric(photographs[:2])
    assert (type(scores), scores.dtype, scores.shape) == (np.ndarray, np.float32, (2,))
    scores = metric(planes(*photographs[:2]))
    assert isinstance(scores, torch.Tensor)
    assert (scores.dtype, scores.shape, scores.device.type) == (torch.float32, (2,), "cpu")


@each
def test_pictures_of_several_sizes_may_share_a_list(metric, photographs):
    pictures = [photographs[0], photographs[1][:50, :61]]
    expected = [float(metric(picture)[0]) for picture in pictures]
    np.testing.assert_array_equal(metric(pictures), np.float32(expected))


@each
def test_odd_sides_are_padded_by_their_edges(metric, photographs):
    odd = photographs[0][:63, :81]
    padded = np.pad(odd, ((0, 1), (0, 1), (0, 0)), mode="edge")
    np.testing.assert_allclose(metric(odd), metric(padded), rtol=0, atol=1e-6)


# What is refused


def with_nan(picture):
    picture = picture.copy()
    picture.flat[777] = np.nan
    return picture


REFUSED = {
    "0..255 floats": (GOOD.astype(np.float32), "divide 0..255 data by 255"),
    "-1..1 floats": (unit(GOOD) * 2 - 1, r"map \[-1, 1\] data by \(x \+ 1\) / 2"),
    "NaN": (with_nan(unit(GOOD)), r"no numbers \(NaN\)"),
    "int32": (GOOD.astype(np.int32), "convert them to uint8, uint16 or float"),
    "grey": (GOOD[..., 0], "repeat a grey channel three times"),
    "RGBA": (np.concatenate([GOOD, GOOD[..., :1]], axis=2), "drop alpha"),
    "channels first": (GOOD.transpose(2, 0, 1), "move channels last"),
    "list of tensors": ([planes(GOOD)[0]], "stack them to one"),
    "tensor of 0..255 floats": (planes(GOOD).float(), "divide 0..255 data by 255"),
    "tensor of NaN": (torch.full((1, 3, 40, 40), float("nan")), r"no numbers \(NaN\)"),
    "tensor of int32": (planes(GOOD).int(), "convert it to uint8, or to float"),
    "tensor without a batch": (planes(GOOD)[0], "add a batch dimension"),
    "grey tensor": (planes(GOOD)[:, :1], "repeat a grey channel three times"),
    "tensor with channels last": (torch.from_numpy(GOOD)[None], "move channels first"),
}


@each
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused_with_the_mend(metric, case):
    value, mend = REFUSED[case]
    with pytest.raises(ValueError, match=mend) as caught:
        metric(value)
    assert str(caught.value).startswith("image")
    assert "\n" not in str(caught.value)


@each
@pytest.mark.parametrize("convert", [np.asarray, planes], ids=["array", "tensor"])
def test_sides_are_at_least_32(metric, convert):
    assert metric(convert(random_picture(32, 32))).shape == (1,)
    with pytest.raises(ValueError, match="pictures are 40x31, but each side must be at least 32"):
        metric(convert(random_picture(31, 40)))
    with pytest.raises(ValueError, match="pictures are 31x40, but each side must be at least 32"):
        metric(convert(random_picture(40, 31)))


@each
def test_certificates_are_told_as_well(metric):
    with pytest.raises(ValueError, match="pictures are 40x31, but each side must be at least 32"):
        metric.batch(np.zeros((2, 3, 31, 40), np.float32))


def test_scores_that_mean_nothing_without_noise_are_warned_of():
    with pytest.warns(UserWarning, match=r"blind\.clive-denoised is fitted to noisy pictures.*'blind'"):
        birqa.create_metric("blind.clive-denoised")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        birqa.create_metric("blind")
        create_subject("blind.clive-denoised")


@each
def test_a_missing_or_damaged_file_is_named(metric, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for name, problem in (("absent.png", "does not exist"), ("text.png", "not a picture")):
        with pytest.raises(birqa.ImageError, match=problem) as caught:
            metric(tmp_path / name)
        assert name in str(caught.value)


@each
def test_there_is_no_second_picture(metric):
    with pytest.raises(TypeError):
        metric(GOOD, GOOD)


# Gradients


@each
def test_no_gradient_flows_unless_asked(metric):
    picture = planes(GOOD).float() / 255
    assert not metric(picture).requires_grad
    with pytest.raises(ValueError, match=r"image requires gradients.*grad=True"):
        metric(picture.requires_grad_())
    with torch.no_grad():
        assert not metric(picture).requires_grad


@each_name
def test_gradients_reach_the_picture_on_request(name, made, differentiable, photographs):
    metric = differentiable
    assert metric.settings["engine"] == "torch"
    picture = planes(photographs[0]).float() / 255
    score = metric(picture.requires_grad_())
    assert float(score.detach()) == pytest.approx(float(made(name, "onnx")(photographs[0])[0]), abs=1e-4)
    score.sum().backward()
    assert torch.isfinite(picture.grad).all()
    assert picture.grad.abs().max() > 0
    # A small step along the gradient lifts the score, one against it lowers it.
    with torch.no_grad():
        step = 1e-3 * picture.grad / picture.grad.abs().max()
        up, down = (metric((picture + sign * step).clamp(0, 1)) for sign in (1, -1))
        assert up > score > down
    assert not metric(picture.detach()).requires_grad


@each_name
def test_the_gradient_is_that_of_finite_differences(name, differentiable, photographs):
    """In double precision, past the checks that convert to single."""
    module = differentiable.engine.module.double()
    picture = planes(photographs[1][:40, :48]).double().div(255).mul(0.9).add(0.05).requires_grad_()
    (gradient,) = torch.autograd.grad(module(picture).sum(), picture)
    generator = torch.Generator().manual_seed(1)
    directions = [torch.randn(picture.shape, generator=generator, dtype=torch.float64) for _ in range(3)]
    for channel, row, column in ((0, 10, 11), (1, 0, 0), (2, 39, 47)):
        one = torch.zeros_like(picture)
        one[0, channel, row, column] = 1
        directions.append(one)
    for direction in directions:
        step = 1e-6 * direction / direction.norm()
        with torch.no_grad():
            slope = (module(picture + step) - module(picture - step)) / 2e-6
        expected = float((gradient * step).sum()) / 1e-6
        assert float(slope) == pytest.approx(expected, rel=2e-2, abs=1e-6)


@each_name
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_gradients_are_finite_on_flat_pictures(differentiable, level):
    flat = torch.full((1, 3, 40, 56), level, requires_grad=True)
    differentiable(flat).sum().backward()
    assert torch.isfinite(flat.grad).all()


@each_name
def test_no_grad_of_the_caller_is_respected(differentiable):
    with torch.no_grad():
        assert not differentiable((planes(GOOD).float() / 255).requires_grad_()).requires_grad


@each_name
def test_the_weights_are_frozen(differentiable):
    module = differentiable.engine.module
    assert not any(parameter.requires_grad for parameter in module.parameters())
    assert not module.training


# Choosing a metric


@each_name
def test_the_name_says_which_weights(name, place):
    metric = birqa.create_metric(place(name))
    assert metric.info.name == ("blind.tiny" if name == TINY else name)
    assert metric.info.version
    assert metric.info.identity is None
    assert (metric.info.range, metric.info.higher_is_better) == ((0, 1), True)
    assert metric.info.name in repr(metric)
    assert metric.settings == {"engine": "onnx", "device": "cpu", "weights": metric.model.fingerprint}


@each
@pytest.mark.parametrize("file", ["weights.safetensors", "network.onnx"])
def test_damaged_files_are_refused(metric, engine, file, tmp_path):
    folder = shutil.copytree(metric.model.folder, tmp_path / "model")
    data = bytearray((folder / file).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / file).write_bytes(data)
    if engine == "torch" and file == "network.onnx":
        birqa.create_metric(folder, engine="torch")
        return
    with pytest.raises(ModelError, match=f"{file} is not the file that model.json describes") as caught:
        birqa.create_metric(folder, engine=engine)
    assert "\n" not in str(caught.value)


@each_name
def test_the_callers_autocast_does_not_touch_the_score(name, place):
    for grad in (False, True):
        metric = birqa.create_metric(place(name), engine="torch", grad=grad)
        picture = planes(GOOD).float() / 255
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = metric(picture)
        assert mixed.dtype == torch.float32
        assert torch.equal(mixed, metric(picture))
