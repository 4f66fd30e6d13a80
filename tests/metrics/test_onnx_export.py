"""Exported graphs compute what the metric computes, for every configuration and without birqa."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import birqa
from birqa.export import export_onnx
from birqa.registry import find_model


def averaged(picture, factor):
    height, width = picture.shape[:2]
    whole = np.pad(picture / 255, ((0, -height % factor), (0, -width % factor), (0, 0)), mode="reflect")
    cells = whole.reshape(whole.shape[0] // factor, factor, whole.shape[1] // factor, factor, 3)
    return cells.mean((1, 3))


def plain_onnxruntime(folder, dist, ref, config):
    """The score as another program computes it, from the recipe in the docstring of `export_onnx`."""
    dist, ref = (averaged(picture, config.shrink) for picture in (dist, ref))
    height, width = dist.shape[:2]
    multiple = config.multiple
    below, right = -height % multiple, -width % multiple
    feed = {}
    for name, picture in (("dist", dist), ("ref", ref)):
        whole = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="reflect")
        padded = np.pad(whole, ((5, 5), (5, 5), (0, 0)), mode="edge")
        feed[name] = padded.transpose(2, 0, 1)[None].astype(np.float32)
    features, network = (
        ort.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("features", "network")
    )
    maps = features.run(None, feed)
    names = [output.name for output in features.get_outputs()]
    inputs = dict(zip(names, maps, strict=True)) | {"size": np.array([height, width], np.float32)}
    return float(network.run(["score"], inputs)[0][0])


@pytest.mark.parametrize("name", birqa.list_metrics("full-reference"))
def test_exported_graphs_score_as_the_metric_in_plain_onnxruntime(name, tmp_path, photographs, damage):
    model = find_model(name)
    written = export_onnx(model, tmp_path / "graphs")
    assert sorted(path.name for path in written) == ["features.onnx", "network.onnx"]
    assert sorted((tmp_path / "graphs").iterdir()) == sorted(written)
    metric = birqa.create_metric(name)
    for height, width in ((96, 128), (61, 97), (32, 32)):
        ref = photographs[1][:height, :width]
        dist = damage("noise", ref, 12)
        expected = float(metric(dist, ref)[0])
        assert expected < 0.95
        got = plain_onnxruntime(tmp_path / "graphs", dist, ref, model.config)
        assert got == pytest.approx(expected, abs=1e-5)


def test_exported_graphs_are_valid_and_hold_every_weight(tiny_model, tmp_path):
    model = find_model(tiny_model)
    for path in export_onnx(model, tmp_path):
        graph = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(graph, full_check=True)
        assert not any(tensor.external_data for tensor in graph.graph.initializer)
        told = ort.InferenceSession(path).get_modelmeta().custom_metadata_map
        assert told["model"] == model.label
        assert f"multiple of {model.config.multiple}, then repeat the edges by 5 pixels" in told["pictures"]
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    for name, value in model.tensors.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


@pytest.mark.parametrize("shrink", [2, 3])
def test_exported_graphs_of_a_shrinking_model_follow_the_recipe(
    save_tiny, tmp_path, photographs, damage, shrink
):
    folder = save_tiny(tmp_path / "model", shrink=shrink)
    model, metric = find_model(folder), birqa.create_metric(folder)
    export_onnx(model, tmp_path / "graphs")
    for height, width in ((96, 128), (61, 97), (32, 33)):
        ref = photographs[1][:height, :width]
        dist = damage("noise", ref, 30)
        got = plain_onnxruntime(tmp_path / "graphs", dist, ref, model.config)
        assert got == pytest.approx(float(metric(dist, ref)[0]), abs=1e-5)
        assert metric.explain(dist, ref).quality_map.shape == (height, width)


def test_exporting_again_replaces_the_graphs(tiny_model, tmp_path, pair):
    model = find_model(tiny_model)
    first = [path.read_bytes() for path in export_onnx(model, tmp_path)]
    for path in tmp_path.iterdir():
        path.write_bytes(b"old")
    second = [path.read_bytes() for path in export_onnx(model, tmp_path)]
    assert [len(data) for data in first] == [len(data) for data in second]
    assert len(list(tmp_path.iterdir())) == 2
    expected = float(birqa.create_metric(tiny_model)(*pair)[0])
    assert plain_onnxruntime(tmp_path, *pair, model.config) == pytest.approx(expected, abs=1e-5)


PARTS = ("csram", "scgb", "reliability_head")
ABLATIONS = [*({part: False} for part in PARTS), dict.fromkeys(PARTS, False)]
OTHERS = [
    {"lbp": "soft"},
    {"lbp": "hard"},
    {"feature_floor": 0.03},
    {"patch": 2},
    {"shrink": 2},
    {"shrink": 3},
    {"widths": (8, 8, 8), "blocks": (0, 1, 2)},
    {"squeeze": 8, "head_width": 4, "gem_powers": (1.5, 4.0), "reliability_bound": 0.5},
]


@pytest.mark.parametrize("config", [*ABLATIONS, *OTHERS], ids=str)
def test_every_configuration_exports_and_matches_torch(save_tiny, tmp_path, photographs, damage, config):
    folder = save_tiny(tmp_path / "model", **config)
    onnx_metric, torch_metric = (birqa.create_metric(folder, engine=engine) for engine in ("onnx", "torch"))
    for ref in (photographs[0], photographs[1][:61, :97]):
        dist = damage("jpeg", ref, 30)
        first, second = onnx_metric.explain(dist, ref), torch_metric.explain(dist, ref)
        assert 0.01 < second.score < 0.99
        assert first.score == pytest.approx(second.score, abs=1e-4)
        np.testing.assert_allclose(first.level_score, second.level_score, rtol=0, atol=5e-4)
        np.testing.assert_allclose(first.reliability, second.reliability, rtol=0, atol=5e-4)
        np.testing.assert_allclose(first.quality_map, second.quality_map, rtol=0, atol=1e-4)
        levels = onnx_metric.model.config.levels
        exchanges = levels - 1 if config.get("csram", True) else 0
        for explained in (first, second):
            assert len(explained.strength) == len(explained.confidence) == exchanges
        for one, two in zip(
            first.strength + first.confidence, second.strength + second.confidence, strict=True
        ):
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-4 * max(1, np.abs(two).max()))
        if not config.get("reliability_head", True):
            np.testing.assert_allclose(first.reliability, 1 / levels, rtol=0, atol=1e-6)
        assert onnx_metric(ref, ref)[0] == 1
