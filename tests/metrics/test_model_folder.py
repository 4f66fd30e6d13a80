"""Model folders: what is written is read back, and what is damaged is refused in one sentence."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save

import birqa
from birqa.export import save_model
from birqa.model import ModelError, check_self_test, load_model, self_test_pair
from birqa.registry import find_model, list_models

ENGINES = ["onnx", "torch"]


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def edit(folder, **fields):
    path = folder / "model.json"
    record = json.loads(path.read_text())
    record.update(fields)
    path.write_text(json.dumps(record))


def replace_file(folder, file, data):
    """Another file with a record that matches it."""
    (folder / file).write_bytes(data)
    record = json.loads((folder / "model.json").read_text())
    edit(folder, sha256=record["sha256"] | {file: hashlib.sha256(data).hexdigest()})


def replace_weights(folder, tensors):
    replace_file(folder, "weights.safetensors", save(tensors))


def test_the_digest_is_that_of_all_that_decides_scores(folder):
    plain = load_model(folder)
    assert load_model(folder).digest == plain.digest
    edit(folder, card={}, version="9")
    assert load_model(folder).digest == plain.digest
    edit(folder, config=json.loads((folder / "model.json").read_text())["config"] | {"lbp": "hard"})
    configured = load_model(folder).digest
    replace_file(folder, "network.onnx", b"another graph")
    assert len({plain.digest, configured, load_model(folder).digest}) == 3


def refused(folder, engine="onnx"):
    """The message with which the folder is refused."""
    with pytest.raises(ModelError) as caught:
        birqa.create_metric(folder, engine=engine)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("at", [0, 8, -1])
def test_a_flipped_bit_in_the_weights_is_found(folder, engine, at):
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert "not the file that model.json describes; fetch or train the model again" in refused(folder, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_cut_weights_are_found(folder, engine):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "not the file that model.json describes" in refused(folder, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_missing_weights_are_found(folder, engine):
    (folder / "weights.safetensors").unlink()
    assert "weights.safetensors" in refused(folder, engine)


def test_a_folder_without_a_record_is_no_model(folder):
    (folder / "model.json").unlink()
    assert "is not a model folder: it has no model.json" in refused(folder)


@pytest.mark.parametrize("text", ["", "{", '{"format": 1', "no json", "[]", "3", '"text"', "null"])
def test_a_damaged_record_is_found(folder, text):
    (folder / "model.json").write_text(text)
    assert "is damaged" in refused(folder)


def test_a_record_that_is_no_text_is_found(folder):
    (folder / "model.json").write_bytes(b"\xff\xfe\x00{")
    assert "is damaged" in refused(folder)


@pytest.mark.parametrize("field", [{"format": 1}, {"format": 3}, {"format": None}, {"preprocessing": "grey"}])
def test_a_record_of_another_release_is_refused(folder, field):
    edit(folder, **field)
    assert "written for another release of birqa; install the release that made it" in refused(folder)


@pytest.mark.parametrize("field", ["name", "version", "config", "sha256", "card", "self_test"])
def test_a_record_that_lacks_a_field_names_it(folder, field):
    path = folder / "model.json"
    record = json.loads(path.read_text())
    del record[field]
    path.write_text(json.dumps(record))
    message = refused(folder)
    assert "is incomplete" in message
    assert field in message


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"name": 3}, "name and version should be text"),
        ({"version": None}, "name and version should be text"),
        ({"self_test": "high"}, "self_test should be a score"),
        ({"self_test": None}, "self_test should be a score"),
        ({"sha256": []}, "sha256 should give the digest of each file"),
        ({"sha256": {}}, "sha256 lacks weights.safetensors"),
        (
            {"interval": {"coverage": 0.9, "edges": [0.5], "radius": [0.1], "measured": 0.9, "data": ""}},
            "a radius for each bin",
        ),
    ],
)
def test_a_record_with_a_field_of_another_kind_is_refused(folder, field, message):
    edit(folder, **field)
    assert message in refused(folder)


def test_a_record_nested_without_end_is_found(folder):
    (folder / "model.json").write_text("[" * 100_000)
    assert "is damaged" in refused(folder)


@pytest.mark.parametrize("data", [b"", b"no tensors at all"])
def test_weights_that_are_none_are_found(folder, data):
    replace_file(folder, "weights.safetensors", data)
    for engine in ENGINES:
        with pytest.raises(ModelError, match="is damaged"):
            birqa.create_metric(folder, engine=engine)


@pytest.mark.parametrize("config", [{"wings": 2}, {"widths": [8]}, {"widths": [9, 9]}])
def test_a_configuration_that_cannot_be_is_refused(folder, config):
    record = json.loads((folder / "model.json").read_text())
    edit(folder, config=record["config"] | config)
    message = refused(folder)
    assert "is incomplete" in message
    assert next(iter(config)) in message


@pytest.mark.parametrize("file", ["features.onnx", "network.onnx"])
def test_without_a_graph_the_torch_engine_still_works_and_the_other_says_so(folder, file, pair):
    expected = birqa.create_metric(folder, engine="torch")(*pair)
    (folder / file).unlink()
    assert f"has no {file}" in refused(folder)
    np.testing.assert_array_equal(birqa.create_metric(folder, engine="torch")(*pair), expected)


@pytest.mark.parametrize("missing", [True, False])
def test_without_its_graph_only_the_explanation_is_refused(folder, pair, missing):
    expected = birqa.create_metric(folder)(*pair)
    if missing:
        (folder / "explain.onnx").unlink()
    else:
        (folder / "explain.onnx").write_bytes(b"no graph at all")
    metric = birqa.create_metric(folder)
    np.testing.assert_array_equal(metric(*pair), expected)
    with pytest.raises(ModelError, match=r"explain\.onnx"):
        metric.explain(*pair)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_tensor_is_found(folder, engine):
    tensors = load_file(folder / "weights.safetensors")
    del tensors["head.0.damage_out"]
    replace_weights(folder, tensors)
    assert "the weights do not fit" in refused(folder, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tensor_of_another_shape_is_found(folder, engine):
    tensors = load_file(folder / "weights.safetensors")
    tensors["head.0.damage_out"] = np.ones(3, np.float16)
    replace_weights(folder, tensors)
    assert "the weights do not fit" in refused(folder, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_configuration_that_does_not_fit_the_weights_is_found_by_torch_or_has_no_effect(
    folder, engine, pair
):
    """The graphs hold the network, so the ONNX engine does not depend on the recorded widths."""
    record = json.loads((folder / "model.json").read_text())
    before = birqa.create_metric(folder, engine=engine)(*pair)
    edit(folder, config=record["config"] | {"head_hidden": 16})
    if engine == "torch":
        assert "the weights do not fit the configuration" in refused(folder, "torch")
    else:
        assert birqa.create_metric(folder, engine="onnx")(*pair) == before


@pytest.mark.parametrize("file", ["features.onnx", "network.onnx"])
def test_a_changed_graph_is_found(folder, file):
    data = bytearray((folder / file).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / file).write_bytes(data)
    assert f"{file} is not the file that model.json describes" in refused(folder)


@pytest.mark.parametrize("file", ["features.onnx", "network.onnx"])
def test_a_graph_that_is_none_is_refused(folder, file):
    """Recorded as it is, so that only ONNX Runtime can tell."""
    replace_file(folder, file, b"no graph at all")
    assert file in refused(folder)


def test_the_self_test_finds_changed_weights(folder):
    tensors = load_file(folder / "weights.safetensors")
    replace_weights(folder, tensors | {"head.0.damage_out": tensors["head.0.damage_out"] * 3})
    for engine in ENGINES:
        with pytest.raises(ModelError, match=r"birqa\.tiny scores .* on its self-test where .* is expected"):
            birqa.create_metric(folder, engine=engine)


def test_the_self_test_refuses_a_score_that_is_no_number(folder):
    with pytest.raises(ModelError, match="scores nan"):
        check_self_test(load_model(folder), lambda dist, ref: float("nan"))


def test_the_self_test_pair_is_fixed():
    dist, ref = self_test_pair()
    assert dist.shape == ref.shape == (96, 131, 3)
    assert dist.dtype == ref.dtype == np.uint8
    # Sums over the pixels; a change of the pair would make every stored self-test score meaningless.
    assert (int(dist.sum()), int(ref.sum())) == (4965936, 4950988)


# Writing


@pytest.mark.parametrize("half", [True, False])
def test_what_is_saved_is_loaded(save_tiny, tiny_module, tmp_path, pair, half):
    folder = save_tiny(tmp_path / "model", half=half)
    model = load_model(folder)
    module = tiny_module()
    assert (model.name, model.version, model.card) == ("birqa.tiny", "7", {"summary": "tiny"})
    assert model.config == module.config
    state = module.network.state_dict()
    assert set(model.tensors) == set(state)
    for name, value in state.items():
        wanted = value.half().float() if half else value
        np.testing.assert_array_equal(model.tensors[name], wanted.numpy(), err_msg=name)
        assert model.tensors[name].dtype == np.float32
    record = json.loads((folder / "model.json").read_text())
    assert record["parameters"] == sum(value.numel() for value in state.values())

    tensors = (torch.from_numpy(p.transpose(2, 0, 1).copy())[None] / 255 for p in pair)
    with torch.no_grad():
        expected = float(module(*tensors))
    assert 0.01 < expected < 0.99
    for engine in ENGINES:
        metric = birqa.create_metric(folder, engine=engine)
        assert float(metric(*pair)[0]) == pytest.approx(expected, abs=2e-3 if half else 1e-4)
        check_self_test(model, metric.engine.score, tolerance=1e-4)


def test_half_precision_halves_the_file_and_hardly_moves_the_score(save_tiny, tmp_path, photographs, damage):
    folders = [save_tiny(tmp_path / str(half), half=half) for half in (True, False)]
    small, large = ((folder / "weights.safetensors").stat().st_size for folder in folders)
    assert small < 0.75 * large
    dists = [damage("noise", picture, 20) for picture in photographs]
    scores = [birqa.create_metric(folder)(dists, photographs) for folder in folders]
    np.testing.assert_allclose(*scores, rtol=0, atol=2e-3)


def test_a_folder_is_replaced_as_a_whole_and_nothing_is_left_beside_it(
    save_tiny, tiny_module, tmp_path, pair
):
    folder = save_tiny(tmp_path / "runs" / "model")
    before = birqa.create_metric(folder)(*pair)
    (folder / "stray.txt").write_text("of the old model")
    module = tiny_module()
    with torch.no_grad():
        for head in module.network.head:
            head.damage_out.mul_(5)
    save_model(module, folder, name="birqa.other", version="8", card={})
    assert birqa.create_metric(folder)(*pair) < before
    assert load_model(folder).name == "birqa.other"
    files = {"explain.onnx", "features.onnx", "model.json", "network.onnx", "weights.safetensors"}
    assert {path.name for path in folder.iterdir()} == files
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_what_is_no_model_is_not_replaced(tiny_module, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("of the user")
    (tmp_path / "file").write_text("of the user")
    for name in ("model", "file"):
        with pytest.raises(ValueError, match="is there and is no model"):
            save_model(tiny_module(), tmp_path / name, name="birqa.other", version="8", card={})
    assert (tmp_path / "model" / "notes.txt").read_text() == (tmp_path / "file").read_text() == "of the user"
    (tmp_path / "empty").mkdir()
    save_model(tiny_module(), tmp_path / "empty", name="birqa.other", version="8", card={})
    assert load_model(tmp_path / "empty").version == "8"


def test_a_failure_while_writing_leaves_the_old_model_and_nothing_beside_it(
    save_tiny, tiny_module, tmp_path, monkeypatch, pair
):
    folder = save_tiny(tmp_path / "runs" / "model")
    before = birqa.create_metric(folder)(*pair)

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("birqa.export.network_graph", full)
    with pytest.raises(OSError, match="no space left"):
        save_model(tiny_module(), folder, name="birqa.other", version="8", card={})
    assert load_model(folder).name == "birqa.tiny"
    np.testing.assert_array_equal(birqa.create_metric(folder)(*pair), before)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_others_may_read_a_saved_model(save_tiny, tmp_path):
    folder = save_tiny(tmp_path / "model")
    umask = os.umask(0)
    os.umask(umask)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~umask
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


# What the package brings along


def test_every_packaged_model_is_complete():
    models = list_models()
    assert models
    for model in models:
        assert model.folder.name == model.name
        assert find_model(model.name, model.kind) == model
        record = json.loads((model.folder / "model.json").read_text())
        assert record["parameters"] == sum(value.size for value in model.tensors.values())
        assert all(np.isfinite(value).all() for value in model.tensors.values())
