"""What every registered metric keeps to, on every engine."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import birqa
from birqa.engines import onnx as onnx_engine
from birqa.export import save_model
from birqa.metric import ScoreExplanation
from birqa.model import check_self_test
from birqa.registry import find_model

ENGINES = ["onnx", "torch"]
EACH = [
    pytest.param(name, engine, id=f"{name}-{engine}")
    for name in birqa.list_metrics("full-reference")
    for engine in ENGINES
]
EACH_METRIC = birqa.list_metrics("full-reference")
RNG = np.random.default_rng(1)

each = pytest.mark.parametrize(("name", "engine"), EACH)
each_metric = pytest.mark.parametrize("name", EACH_METRIC)


@pytest.fixture
def metric(name, engine, metric_of):
    return metric_of(name, engine)


def unit(picture):
    return picture.astype(np.float32) / np.float32(255)


def planes(*pictures):
    """uint8 (H, W, 3) each -> a uint8 tensor (N, 3, H, W)."""
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())


def random_picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_there_is_something_to_test():
    assert "birqa.kadid" in EACH_METRIC


@each
def test_the_engine_computes_what_was_trained(metric):
    check_self_test(metric.model, metric.engine.score)


# What a score depends on


@each
def test_scoring_twice_gives_the_same_bits(metric, pair):
    first, second = metric(*pair), metric(*pair)
    assert first.tobytes() == second.tobytes()
    first, second = metric.explain(*pair), metric.explain(*pair)
    assert first.quality_map.tobytes() == second.quality_map.tobytes()


@each
def test_it_goes_to_another_process_and_comes_back(metric, pair):
    there = pickle.loads(pickle.dumps(metric))
    assert there.info == metric.info
    assert there.settings == metric.settings
    assert there(*pair) == metric(*pair)


@each
def test_a_list_scores_as_its_pictures_alone_and_in_any_order(metric, photographs, damage):
    dists = [damage("noise", picture, 8 + 12 * k) for k, picture in enumerate(photographs)]
    alone = np.concatenate([metric(d, r) for d, r in zip(dists, photographs, strict=True)])
    assert len(set(alone.tolist())) == len(alone)
    together = metric(np.stack(dists), np.stack(photographs))
    np.testing.assert_array_equal(together, alone)
    order = [2, 0, 1]
    np.testing.assert_array_equal(
        metric([dists[k] for k in order], [photographs[k] for k in order]), alone[order]
    )


@each
def test_a_tensor_batch_scores_as_its_pictures_alone_and_in_any_order(metric, photographs, damage):
    dists = planes(*(damage("noise", picture, 8 + 12 * k) for k, picture in enumerate(photographs)))
    refs = planes(*photographs)
    together = metric(dists, refs)
    alone = torch.cat([metric(dists[k : k + 1], refs[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    order = [2, 0, 1]
    torch.testing.assert_close(metric(dists[order], refs[order]), together[order], rtol=0, atol=1e-5)


@each
def test_the_number_of_threads_does_not_matter(name, engine, metric, photographs, damage):
    dist = damage("jpeg", photographs[0], 20)
    threads = torch.get_num_threads()
    try:
        one = metric(dist, photographs[0])
        two = birqa.create_metric(name, engine=engine, threads=2)(dist, photographs[0])
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-5)


@each
def test_scoring_leaves_the_pictures_as_they_were(metric, pair):
    dist, ref = (unit(picture) for picture in pair)
    before = dist.copy(), ref.copy()
    metric(dist, ref)
    metric(*(planes(p).float() / 255 for p in pair))
    np.testing.assert_array_equal(dist, before[0])
    np.testing.assert_array_equal(ref, before[1])


# The top of the range


def contents():
    grey = np.full((40, 56, 3), 119, np.uint8)
    yield pytest.param(np.zeros((40, 56, 3), np.uint8), id="black")
    yield pytest.param(np.full((40, 56, 3), 255, np.uint8), id="white")
    yield pytest.param(grey, id="flat")
    yield pytest.param(random_picture(33, 47), id="odd-33x47")
    yield pytest.param(random_picture(32, 32), id="smallest-32x32")
    yield pytest.param(random_picture(32, 201), id="wide-32x201")
    yield pytest.param(unit(random_picture(45, 64)), id="float")


@each
@pytest.mark.parametrize("picture", list(contents()))
def test_identical_pictures_score_exactly_one(metric, picture):
    np.testing.assert_array_equal(metric(picture, picture), [1.0])
    explained = metric.explain(picture, picture.copy())
    assert explained.score == 1
    np.testing.assert_array_equal(explained.level_score, 1)
    np.testing.assert_allclose(explained.quality_map, 1, rtol=0, atol=1e-6)
    assert explained.quality_map.max() <= 1


@each
def test_identical_photographs_score_exactly_one(metric, photographs):
    np.testing.assert_array_equal(metric(photographs, photographs), [1.0] * 3)


@each
@pytest.mark.parametrize("other", ["one level in one pixel", "inverse", "unrelated", "black", "noise"])
def test_different_pictures_score_above_zero_and_below_one(metric, photographs, damage, other):
    ref = photographs[0]
    dist = {
        "inverse": 255 - ref,
        "unrelated": photographs[1],
        "black": np.zeros_like(ref),
        "noise": random_picture(*ref.shape[:2]),
        "one level in one pixel": ref.copy(),
    }[other]
    if other == "one level in one pixel":
        dist[50, 60, 1] += 1 if dist[50, 60, 1] < 255 else -1
        # So small a difference may vanish in the rounding, but may not lift the score over the identity.
        assert 0.99 < metric(dist, ref)[0] <= 1
    else:
        assert 0 < metric(dist, ref)[0] < 0.95


@pytest.mark.parametrize("engine", ENGINES)
def test_no_damage_is_large_enough_to_score_below_zero(engine, tiny_module, tmp_path):
    """With rounding in the worst place: every level scores 0, and the weights' sum is not quite 1."""
    module = tiny_module()
    with torch.no_grad():
        for head in module.network.head:
            head.damage_out.fill_(1e6)
            head.reliability_out.weight.mul_(50)
    save_model(module, tmp_path / "model", name="birqa.harsh", version="1", card={}, half=False)
    metric = birqa.create_metric(tmp_path / "model", engine=engine, threads=1)
    scores = []
    for seed in range(40):
        dist, ref = (random_picture(32, 32, seed=2 * seed + side) for side in (0, 1))
        scores.append(float(metric(dist, ref)[0]))
        assert metric.explain(dist, ref).quality_map.min() >= 0
    assert max(scores) < 1e-6
    assert min(scores) >= 0


@each
def test_swapping_roles_is_no_identity(metric, photographs, damage):
    dist = damage("blur", photographs[0], 2)
    assert 0 < metric(photographs[0], dist)[0] < 1


# More damage, lower score


@each
@pytest.mark.parametrize(
    ("kind", "levels"), [("noise", (4, 15, 50)), ("blur", (0.7, 2, 6)), ("jpeg", (90, 30, 5))]
)
def test_the_mean_score_falls_with_the_damage(metric, photographs, damage, kind, levels):
    means = [
        metric([damage(kind, picture, level) for picture in photographs], photographs).mean()
        for level in levels
    ]
    steps = -np.diff([1, *means])
    assert (steps > 0.01).all(), means


# What can be given, and what comes back


@each
def test_every_kind_of_input_gives_the_same_score(metric, pair, tmp_path):
    paths = [tmp_path / "dist.png", tmp_path / "ref.png"]
    for picture, path in zip(pair, paths, strict=True):
        Image.fromarray(picture).save(path)
    expected = metric(*pair)
    assert 0 < expected[0] < 1
    kinds = {
        "path": paths,
        "str": [str(path) for path in paths],
        "Pillow": [Image.open(path) for path in paths],
        "float": [unit(p) for p in pair],
        "double": [p / 255 for p in pair],
        "16 bits": [p.astype(np.uint16) * 257 for p in pair],
        "batch of one": [p[None] for p in pair],
        "list of one": [[p] for p in pair],
        "tuple of one": [(p,) for p in pair],
        "mixed": [paths[0], unit(pair[1])],
        "not contiguous": [np.asfortranarray(p) for p in pair],
        "uint8 tensor": [planes(p) for p in pair],
        "float tensor": [planes(p).float() / 255 for p in pair],
        "double tensor": [planes(p).double() / 255 for p in pair],
    }
    for kind, (dist, ref) in kinds.items():
        np.testing.assert_allclose(np.asarray(metric(dist, ref)), expected, rtol=0, atol=2e-6, err_msg=kind)
        assert metric.explain(dist, ref).score == pytest.approx(expected[0], abs=2e-6), kind


@each
def test_arrays_give_a_float32_array_and_tensors_give_a_tensor(metric, pair):
    scores = metric([pair[0], pair[1]], [pair[1], pair[1]])
    assert type(scores) is np.ndarray
    assert scores.dtype == np.float32
    assert scores.shape == (2,)
    scores = metric(planes(pair[0], pair[1]), planes(pair[1], pair[1]))
    assert isinstance(scores, torch.Tensor)
    assert scores.dtype == torch.float32
    assert scores.shape == (2,)
    assert scores.device.type == "cpu"


@each
def test_one_reference_serves_many_pictures(metric, photographs, damage):
    ref = photographs[0]
    dists = [damage("noise", ref, sigma) for sigma in (5, 15, 40)]
    expected = metric(dists, [ref] * 3)
    np.testing.assert_array_equal(metric(dists, ref), expected)
    np.testing.assert_array_equal(metric(np.stack(dists), ref[None]), expected)
    torch.testing.assert_close(
        metric(planes(*dists), planes(ref)), torch.from_numpy(expected), rtol=0, atol=1e-5
    )


@each
def test_pictures_of_several_sizes_may_share_a_list(metric, photographs, damage):
    refs = [photographs[0], photographs[1][:50, :61]]
    dists = [damage("blur", ref, 1) for ref in refs]
    expected = [float(metric(d, r)[0]) for d, r in zip(dists, refs, strict=True)]
    np.testing.assert_array_equal(metric(dists, refs), np.float32(expected))


@each
def test_rounding_beyond_the_unit_range_is_tolerated(metric, pair):
    dist, ref = (unit(p) for p in pair)
    slightly_over = np.where(dist == 1, np.float32(1 + 5e-7), np.where(dist == 0, np.float32(-5e-7), dist))
    np.testing.assert_allclose(metric(slightly_over, ref), metric(dist, ref), rtol=0, atol=1e-6)


# What is refused

GOOD = random_picture(40, 56)


def with_nan(picture):
    picture = picture.copy()
    picture.flat[777] = np.nan
    return picture


REFUSED_ARRAYS = {
    "0..255 floats": (GOOD.astype(np.float32), "divide 0..255 data by 255"),
    "-1..1 floats": (unit(GOOD) * 2 - 1, r"map \[-1, 1\] data by \(x \+ 1\) / 2"),
    "NaN": (with_nan(unit(GOOD)), r"no numbers \(NaN\)"),
    "infinite": (np.where(GOOD > 250, np.inf, unit(GOOD)), r"must lie in \[0, 1\]"),
    "int32": (GOOD.astype(np.int32), "convert them to uint8, uint16 or float"),
    "bool": (GOOD > 127, "convert them to uint8, uint16 or float"),
    "grey": (GOOD[..., 0], "repeat a grey channel three times"),
    "grey with an axis": (GOOD[..., :1], "repeat a grey channel three times"),
    "RGBA": (np.concatenate([GOOD, GOOD[..., :1]], axis=2), "drop alpha"),
    "channels first": (GOOD.transpose(2, 0, 1), "move channels last"),
    "batch of channels first": (GOOD.transpose(2, 0, 1)[None], "move channels last"),
    "five dimensions": (GOOD[None, None], r"RGB arrays \(H, W, 3\) are needed"),
}
REFUSED_TENSORS = {
    "0..255 floats": (planes(GOOD).float(), "divide 0..255 data by 255"),
    "-1..1 floats": (planes(GOOD) / 127.5 - 1, r"map \[-1, 1\] data by \(x \+ 1\) / 2"),
    "NaN": (torch.from_numpy(with_nan(planes(GOOD).numpy() / 255)), r"no numbers \(NaN\)"),
    "int32": (planes(GOOD).int(), "convert it to uint8, or to float"),
    "bool": (planes(GOOD) > 127, "convert it to uint8, or to float"),
    "no batch": (planes(GOOD)[0], "add a batch dimension"),
    "grey": (planes(GOOD)[:, :1], "repeat a grey channel three times"),
    "RGBA": (torch.cat([planes(GOOD), planes(GOOD)[:, :1]], 1), "RGB tensors"),
    "channels last": (torch.from_numpy(GOOD)[None], "move channels first"),
}


@each
@pytest.mark.parametrize("side", ["dist", "ref"])
@pytest.mark.parametrize("case", REFUSED_ARRAYS)
def test_arrays_that_cannot_be_meant_are_refused_with_the_mend(metric, case, side):
    value, mend = REFUSED_ARRAYS[case]
    arguments = {"dist": GOOD, "ref": GOOD, side: value}
    for scoring in (metric, metric.explain):
        with pytest.raises(ValueError, match=mend) as caught:
            scoring(**arguments)
        assert str(caught.value).startswith(side)
        assert "\n" not in str(caught.value)


@each
@pytest.mark.parametrize("side", ["dist", "ref"])
@pytest.mark.parametrize("case", REFUSED_TENSORS)
def test_tensors_that_cannot_be_meant_are_refused_with_the_mend(metric, case, side):
    value, mend = REFUSED_TENSORS[case]
    arguments = {"dist": planes(GOOD), "ref": planes(GOOD), side: value}
    for scoring in (metric, metric.explain):
        with pytest.raises(ValueError, match=mend) as caught:
            scoring(**arguments)
        assert str(caught.value).startswith(side)


@each
@pytest.mark.parametrize("convert", [np.asarray, planes], ids=["array", "tensor"])
def test_sizes_are_checked(metric, convert):
    with pytest.raises(ValueError, match=r"distorted picture is 48x40 and the reference 56x40.*--resize"):
        metric(convert(GOOD[:, :48]), convert(GOOD))
    with pytest.raises(ValueError, match="pictures are 40x31, but each side must be at least 32"):
        metric(convert(random_picture(31, 40)), convert(random_picture(31, 40)))
    with pytest.raises(ValueError, match="pictures are 31x40, but each side must be at least 32"):
        metric(convert(random_picture(40, 31)), convert(random_picture(40, 31)))


@each
@pytest.mark.parametrize("convert", [np.stack, lambda pictures: planes(*pictures)], ids=["array", "tensor"])
def test_counts_are_checked(metric, convert):
    with pytest.raises(ValueError, match="3 distorted pictures but 2 references"):
        metric(convert([GOOD] * 3), convert([GOOD] * 2))
    with pytest.raises(ValueError, match="1 distorted pictures but 2 references"):
        metric(convert([GOOD]), convert([GOOD] * 2))


@each
def test_explaining_takes_one_pair(metric):
    with pytest.raises(ValueError, match="one pair at a time, but 2 were given"):
        metric.explain([GOOD, GOOD], GOOD)


@each
def test_a_tensor_against_an_array_is_refused(metric):
    for dist, ref in ((planes(GOOD), GOOD), (GOOD, planes(GOOD))):
        with pytest.raises(ValueError, match="give both in one form"):
            metric(dist, ref)


@each
def test_a_missing_or_damaged_file_is_named(metric, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for name, problem in (("absent.png", "does not exist"), ("text.png", "not a picture")):
        with pytest.raises(birqa.ImageError, match=problem) as caught:
            metric(tmp_path / name, GOOD)
        assert name in str(caught.value)


# Gradients


@each
def test_no_gradient_flows_unless_asked(metric, pair):
    dist, ref = (planes(p).float() / 255 for p in pair)
    assert not metric(dist, ref).requires_grad
    with pytest.raises(ValueError, match=r"grad=True"):
        metric(dist.requires_grad_(), ref)
    with torch.no_grad():
        assert not metric(dist, ref).requires_grad


def test_the_callers_autocast_does_not_touch_the_score(pair):
    metric = birqa.create_metric("birqa", engine="torch")
    dist, ref = (planes(p).float() / 255 for p in pair)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = metric(dist, ref)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, metric(dist, ref))


@each_metric
def test_gradients_reach_the_distorted_picture_on_request(name, pair):
    metric = birqa.create_metric(name, grad=True)
    assert metric.settings["engine"] == "torch"
    dist, ref = (planes(p).float() / 255 for p in pair)
    metric(dist.requires_grad_(), ref).sum().backward()
    assert torch.isfinite(dist.grad).all()
    assert dist.grad.abs().max() > 0
    # A small step along the gradient lifts the score.
    with torch.no_grad():
        step = 2e-3 * dist.grad / dist.grad.abs().max()
        assert metric((dist + step).clamp(0, 1), ref) > metric(dist, ref)
    assert not metric(dist.detach(), ref).requires_grad


@each_metric
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_gradients_are_finite_where_the_pictures_are_equal_or_flat(name, level):
    metric = birqa.create_metric(name, grad=True)
    flat = torch.full((1, 3, 40, 56), level, requires_grad=True)
    metric(flat, flat.detach().clone()).sum().backward()
    assert torch.isfinite(flat.grad).all()


@each_metric
def test_no_grad_of_the_caller_is_respected(name, pair):
    metric = birqa.create_metric(name, grad=True)
    dist, ref = (planes(p).float() / 255 for p in pair)
    with torch.no_grad():
        assert not metric(dist.requires_grad_(), ref).requires_grad


# Explanations


@each
@pytest.mark.parametrize("size", [(96, 128), (50, 61), (32, 32)])
def test_an_explanation_adds_up_to_the_score(metric, photographs, damage, size):
    ref = photographs[0][: size[0], : size[1]]
    dist = damage("noise", ref, 15)
    explained = metric.explain(dist, ref)
    assert explained.score == pytest.approx(float(metric(dist, ref)[0]), abs=1e-6)
    assert explained.contribution.sum() == pytest.approx(explained.score, abs=1e-6)
    assert explained.reliability.sum() == pytest.approx(1, abs=1e-6)
    assert (explained.reliability >= 0).all()
    assert ((explained.level_score >= 0) & (explained.level_score <= 1)).all()
    assert explained.quality_map.shape == size
    assert explained.quality_map.dtype == np.float32
    assert 0 <= explained.quality_map.min() < explained.quality_map.max() <= 1
    levels = metric.model.config.levels
    assert len(explained.strength) == len(explained.confidence) == levels - 1
    for strength, confidence in zip(explained.strength, explained.confidence, strict=True):
        assert strength.shape == confidence.shape
        assert (strength >= 0).all()
        assert ((confidence >= 0) & (confidence <= 1)).all()


@each
@pytest.mark.parametrize("corner", [(16, 16), (160, 208)])
def test_the_quality_map_is_low_where_the_damage_is_and_high_far_away(metric, damage, corner):
    ref = np.array(Image.fromarray(random_picture(28, 32)).resize((256, 224), Image.Resampling.BICUBIC))
    square = slice(corner[0], corner[0] + 48), slice(corner[1], corner[1] + 32)
    dist = ref.copy()
    dist[square] = damage("noise", ref[square], 40)
    quality = metric.explain(dist, ref).quality_map
    rows, columns = np.mgrid[0:224, 0:256]
    far = np.hypot(rows - corner[0] - 24, columns - corner[1] - 16) > 120
    assert far.sum() > 1000
    assert quality[square].mean() < 0.9 * quality[far].mean()
    # The exchanges between levels may carry a trace of the damage along, but no more.
    assert quality[far].min() > quality[square].max()


# One result, whatever runs it


def compare(first: ScoreExplanation, second: ScoreExplanation, tolerance):
    """The score and every cell of every part within `tolerance`."""
    assert second.score == pytest.approx(first.score, abs=tolerance)
    parts = {
        field: (getattr(first, field), getattr(second, field))
        for field in ("level_score", "reliability", "contribution", "quality_map")
    }
    for field in ("strength", "confidence"):
        for level, maps in enumerate(zip(getattr(first, field), getattr(second, field), strict=True), 1):
            parts[f"{field} {level}"] = maps
    for part, (one, two) in parts.items():
        assert one.shape == two.shape, part
        # Strength has no upper bound.
        assert np.abs(two - one).max() <= tolerance * max(1, np.abs(one).max()), part


@each_metric
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (96, 128), (65, 190), (300, 211)])
@pytest.mark.parametrize("kind", ["noise", "blur"])
def test_engines_agree_on_the_score_and_every_part(name, metric_of, damage, size, kind):
    soft = Image.fromarray(random_picture(12, 12)).resize(size[::-1], Image.Resampling.BICUBIC)
    ref = damage("noise", np.array(soft), 6)
    dist = damage(kind, ref, 9 if kind == "noise" else 1.5)
    parts = [metric_of(name, engine).explain(dist, ref) for engine in ENGINES]
    # Maps show the last digits of what was averaged and summed in another order; scores do not.
    compare(*parts, tolerance=1e-3)
    assert parts[0].score < 0.99
    scores = [metric_of(name, engine)(dist, ref) for engine in ENGINES]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-4)


@each_metric
@pytest.mark.parametrize("pixels", [1, 2**15, 2**17])
def test_bands_give_what_the_whole_picture_gives(name, metric_of, damage, monkeypatch, pixels):
    ref = damage("noise", np.array(Image.fromarray(random_picture(30, 45)).resize((450, 700))), 6)
    dist = damage("jpeg", ref, 25)
    metric = metric_of(name, "onnx")
    calls = []
    run = metric.engine.features.run

    class Counting:
        def run(self, names, feed):
            calls.append(feed["dist"].shape)
            return run(names, feed)

    monkeypatch.setattr(metric.engine, "features", Counting())
    monkeypatch.setattr(onnx_engine, "BAND_PIXELS", 2**30)
    whole = metric.explain(dist, ref)
    assert len(calls) == 1
    monkeypatch.setattr(onnx_engine, "BAND_PIXELS", pixels)
    banded = metric.explain(dist, ref)
    height, width = (-(-side // metric.model.config.shrink) for side in (700, 450))
    if pixels == 1:
        assert len(calls) - 1 == -(-height // metric.model.config.multiple)
    else:
        assert len(calls) - 1 >= height * width // (2 * pixels)
    compare(whole, banded, tolerance=1e-5)


@each_metric
def test_a_picture_of_several_bands_scores_as_on_torch(name, metric_of, damage, monkeypatch):
    monkeypatch.setattr(onnx_engine, "BAND_PIXELS", 2**15)
    ref = damage("noise", np.array(Image.fromarray(random_picture(30, 45)).resize((450, 700))), 6)
    dist = damage("blur", ref, 1)
    parts = [metric_of(name, engine).explain(dist, ref) for engine in ENGINES]
    compare(*parts, tolerance=1e-3)
    assert parts[0].score == pytest.approx(parts[1].score, abs=1e-4)


# Choosing a metric


@each_metric
def test_the_name_says_which_weights(name):
    metric = birqa.create_metric(name)
    assert metric.info.name == name
    assert metric.info.version
    assert metric.info.identity == 1
    assert name in repr(metric)
    assert metric.settings == {"engine": "onnx", "device": "cpu", "weights": metric.model.fingerprint}


def test_a_bare_name_stands_for_its_default_tag():
    assert birqa.create_metric("birqa").info.name == "birqa.kadid"
    assert birqa.create_metric().info.name == "birqa.kadid"


@each_metric
def test_a_folder_of_weights_is_taken_as_a_name_is(name, pair):
    folder = find_model(name).folder
    expected = birqa.create_metric(name)(*pair)
    np.testing.assert_array_equal(birqa.create_metric(folder)(*pair), expected)
    np.testing.assert_array_equal(birqa.create_metric(str(folder))(*pair), expected)


@pytest.mark.parametrize("name", ["birqua", "birqa.nothing", "/no/such/folder"])
def test_an_unknown_name_is_answered_with_what_there_is(name):
    with pytest.raises(ValueError, match=r"use one of birqa, birqa\.kadid.*or a folder with weights"):
        birqa.create_metric(name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "tensorrt"}, "use 'auto', 'onnx' or 'torch'"),
        ({"engine": "onnx", "grad": True}, "use engine='torch'"),
        ({"engine": "onnx", "device": "cuda"}, "use engine='torch'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        birqa.create_metric("birqa", **settings)


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_one_picture_at_8_and_16_bits_is_one_picture(photographs, metric_of, engine):
    for picture in photographs:
        deep = picture.astype(np.uint16) * 257
        for pair in ((picture, deep), (deep, picture), (picture, deep.astype(">u2"))):
            assert float(metric_of(engine=engine)(*pair)[0]) == 1


@pytest.mark.parametrize("width", [110, 98, 97, 70])
def test_damage_at_the_border_counts_no_more_than_inside(photographs, metric_of, width):
    # Before, what fills pictures up to whole patches repeated it over up to 62 columns.
    ref = photographs[0][:, :width]

    def damage(column):
        change = np.random.default_rng(0).choice([-40, 40], (len(ref), 1, 1))
        dist = ref.astype(int)
        dist[:, column - 1 : column + 1] += change
        return 1 - float(metric_of()(dist.clip(0, 255).astype(np.uint8), ref)[0])

    assert damage(width - 1) < 1.2 * damage(width // 2)


@pytest.mark.parametrize("name", birqa.list_metrics("full-reference"))
@pytest.mark.parametrize("kind", ["jpeg", "blur"])
def test_a_pixel_more_than_whole_patches_hardly_changes_the_score(metric_of, damage, name, kind):
    ref = birqa.load_image("examples/ref/bikes.webp")
    dist = damage(kind, ref, {"jpeg": 10, "blur": 1.5}[kind])
    for side in (64, 128, 256):
        scores = [
            float(
                metric_of(name)(*(picture[60 : 60 + rows, 60 : 60 + columns] for picture in (dist, ref)))[0]
            )
            for rows, columns in ((side, side), (side + 1, side), (side, side + 1), (side + 1, side + 1))
        ]
        # Of 64 pixels a side birqa.lite has one cell of its coarsest level, and moves by .031.
        assert np.ptp(scores) < (0.04 if (name, side) == ("birqa.lite", 64) else 0.03), side


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gradient_that_would_be_dropped_is_refused_on_either_side(metric_of, engine):
    pictures = torch.rand(1, 3, 40, 40)
    for label, wanted in (("dist", (True, False)), ("ref", (False, True))):
        pair = (pictures.clone().requires_grad_(one) for one in wanted)
        with pytest.raises(ValueError, match=f"^{label} requires gradients"):
            metric_of("birqa", engine)(*pair)


@pytest.mark.parametrize("threads", [0, -3, "2", 1.5, True, 513])
@pytest.mark.parametrize("name", ["birqa", "blind"])
def test_threads_that_cannot_be_are_refused(name, threads):
    with pytest.raises(ValueError, match=f"threads={threads!r} should be a whole number from 1 to 512"):
        birqa.create_metric(name, threads=threads)


def test_a_path_is_no_name():
    with pytest.raises(ValueError, match="there is no folder birqa: give the metric's name as text, 'birqa'"):
        birqa.create_metric(Path("birqa"))
