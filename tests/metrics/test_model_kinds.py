"""Model folders of other kinds than pairs: written, read back, and not taken for one another."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save

import birqa
from birqa.certify.denoising import load_denoiser
from birqa.engines.torch import load_single
from birqa.export import save_single, single_graph, single_state
from birqa.metric import create_full_reference, create_no_reference
from birqa.model import ModelError, load_model
from birqa.registry import find_model, list_models

ENGINES = ["onnx", "torch"]


@pytest.fixture
def blind_folder(blind_model, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(blind_model, tmp_path / "model")


def edit(folder, **fields):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def replace_weights(folder, tensors):
    data = save(tensors)
    (folder / "weights.safetensors").write_bytes(data)
    digests = json.loads((folder / "model.json").read_text())["sha256"]
    edit(folder, sha256=digests | {"weights.safetensors": hashlib.sha256(data).hexdigest()})


def refused(folder, engine="onnx"):
    with pytest.raises(ModelError) as caught:
        birqa.create_metric(folder, engine=engine)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Writing and reading


@pytest.mark.parametrize("kind", ["no-reference", "denoiser"])
def test_what_is_saved_is_loaded(kind, blind_model, denoiser_model, tiny_blind, tiny_denoiser):
    folder, module = (
        (blind_model, tiny_blind()) if kind == "no-reference" else (denoiser_model, tiny_denoiser())
    )
    model = load_model(folder)
    short = "blind" if kind == "no-reference" else "denoiser"
    assert (model.kind, model.name, model.version) == (kind, f"{short}.tiny", "7")
    assert (model.card, model.config) == ({"summary": "tiny"}, module.config)
    assert {path.name for path in folder.iterdir()} == {"model.json", "network.onnx", "weights.safetensors"}
    state = single_state(module)
    assert set(model.tensors) == set(state)
    for name, value in state.items():
        np.testing.assert_array_equal(model.tensors[name], value.numpy(), err_msg=name)
    record = json.loads((folder / "model.json").read_text())
    assert record["parameters"] == sum(value.numel() for value in state.values())
    pictures = torch.rand(2, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(load_single(model)(pictures), module(pictures), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "config", [{"shrink": 1}, {"shrink": 2}, {"widths": (3, 5, 4)}, {"widths": ()}], ids=str
)
def test_every_configuration_exports_and_matches_torch(tiny_blind, tmp_path, photographs, config):
    save_single(tiny_blind(**config), tmp_path / "model", name="blind.other", version="1", card={})
    one, other = (birqa.create_metric(tmp_path / "model", engine=engine, threads=1) for engine in ENGINES)
    pictures = [photographs[0], photographs[1][:61, :97], photographs[2][:32, :33]]
    np.testing.assert_allclose(one(pictures), other(pictures), rtol=0, atol=1e-4)


@pytest.mark.parametrize("config", [{"fold": 1}, {"fold": 3}, {"widths": (4, 5, 6)}], ids=str)
def test_every_denoiser_exports_and_matches_torch(tiny_denoiser, tmp_path, config):
    save_single(tiny_denoiser(**config), tmp_path / "model", name="denoiser.other", version="1", card={})
    noisy = np.random.default_rng(0).normal(0.5, 0.3, (2, 3, 37, 50)).astype(np.float32)
    one, other = (load_denoiser(tmp_path / "model", engine=engine, threads=1)(noisy) for engine in ENGINES)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_graphs_hold_no_weights(tiny_blind, tiny_denoiser):
    for module in (tiny_blind(), tiny_blind(widths=()), tiny_denoiser()):
        graph = single_graph(module)
        outside = {tensor.name for tensor in graph.graph.initializer if tensor.external_data}
        assert outside == set(single_state(module))
        assert [value.name for value in graph.graph.input] == ["pictures"]
        assert [value.name for value in graph.graph.output] == ["result"]


def test_saving_leaves_the_module_as_it_is(tiny_blind, tmp_path):
    module = tiny_blind().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    save_single(module, tmp_path / "model", name="blind.other", version="1", card={})
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_folder_is_replaced_as_a_whole_and_nothing_is_left_beside_it(
    tiny_blind, tiny_denoiser, tmp_path, monkeypatch
):
    folder = tmp_path / "runs" / "model"
    save_single(tiny_blind(), folder, name="blind.old", version="1", card={})
    (folder / "stray.txt").write_text("of the old model")
    save_single(tiny_denoiser(), folder, name="denoiser.new", version="2", card={})
    assert load_model(folder).name == "denoiser.new"
    assert {path.name for path in folder.iterdir()} == {"model.json", "network.onnx", "weights.safetensors"}

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("birqa.export.single_graph", full)
    with pytest.raises(OSError, match="no space left"):
        save_single(tiny_blind(), folder, name="blind.old", version="1", card={})
    assert load_model(folder).name == "denoiser.new"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


# Damage


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_or_misshapen_tensor_is_found(blind_folder, engine):
    tensors = load_file(blind_folder / "weights.safetensors")
    replace_weights(blind_folder, {k: v for k, v in tensors.items() if k != "regression.coefficients"})
    assert "the weights do not fit" in refused(blind_folder, engine)
    replace_weights(blind_folder, tensors | {"regression.coefficients": np.ones(3, np.float32)})
    assert "the weights do not fit" in refused(blind_folder, engine)


def test_weights_of_a_network_that_the_configuration_lacks_are_found(blind_folder):
    record = json.loads((blind_folder / "model.json").read_text())
    edit(blind_folder, config=record["config"] | {"widths": []})
    assert "the weights do not fit the configuration" in refused(blind_folder, "torch")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_self_test_finds_changed_weights(blind_folder, engine):
    tensors = load_file(blind_folder / "weights.safetensors")
    replace_weights(
        blind_folder, tensors | {"regression.bias": np.array(tensors["regression.bias"] + np.float32(0.1))}
    )
    with pytest.raises(ModelError, match=r"blind\.tiny scores .* on its self-test where .* is expected"):
        birqa.create_metric(blind_folder, engine=engine)


@pytest.mark.parametrize(
    "config", [{"wings": 2}, {"widths": [8]}, {"shrink": 0}, {"shrink": "2"}, {"widths": 3}], ids=str
)
def test_a_configuration_that_cannot_be_is_refused(blind_folder, config):
    record = json.loads((blind_folder / "model.json").read_text())
    edit(blind_folder, config=record["config"] | config)
    assert "is incomplete" in refused(blind_folder)


@pytest.mark.parametrize("config", [[], ["widths"], "widths", None, 3], ids=str)
def test_a_configuration_that_is_no_object_is_refused(blind_folder, tiny_model, tmp_path, config):
    for folder in (blind_folder, shutil.copytree(tiny_model, tmp_path / "pairs")):
        edit(folder, config=config)
        assert "is incomplete" in refused(folder)


@pytest.mark.parametrize("kind", ["video", None, 3, ["no-reference"], "full-reference", "denoiser"])
def test_a_kind_that_is_not_its_own_is_refused(blind_folder, kind):
    edit(blind_folder, kind=kind)
    assert "written for another release of birqa; install the release that made it" in refused(blind_folder)


# Kinds


def test_records_from_before_there_were_kinds_are_of_pairs(tiny_model, tmp_path, pair):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    record = json.loads((folder / "model.json").read_text())
    assert record.pop("kind") == "full-reference"
    (folder / "model.json").write_text(json.dumps(record))
    assert load_model(folder).kind == "full-reference"
    np.testing.assert_array_equal(
        create_full_reference(folder)(*pair), birqa.create_metric(tiny_model)(*pair)
    )


def test_the_released_metric_is_of_pairs():
    assert find_model("birqa").kind == "full-reference"
    assert find_model("birqa", "full-reference", "no-reference").name == "birqa.kadid"


def test_a_metric_of_another_kind_is_named_with_its_use(blind_model, tiny_model, denoiser_model):
    cases = [
        (
            create_full_reference,
            blind_model,
            r"blind\.tiny scores single pictures \(birqa blind\), .* birqa\.k",
        ),
        (create_no_reference, tiny_model, r"birqa\.tiny compares pictures with references \(birqa score\)"),
        (create_no_reference, "birqa", r"birqa\.kadid compares pictures with references \(birqa score\)"),
        (birqa.create_metric, denoiser_model, r"denoiser\.tiny cleans pictures .* --denoiser"),
        (load_denoiser, tiny_model, r"birqa\.tiny compares .* but what is needed cleans pictures"),
    ]
    for make, folder, message in cases:
        with pytest.raises(ValueError, match=message) as caught:
            make(folder)
        assert "\n" not in str(caught.value)


def test_each_maker_takes_its_own_kind(blind_model, tiny_model):
    assert create_full_reference(tiny_model).info.name == "birqa.tiny"
    assert create_no_reference(blind_model).info.name == "blind.tiny"
    assert type(birqa.create_metric(blind_model)) is type(create_no_reference(blind_model))
    assert type(birqa.create_metric(tiny_model)) is type(create_full_reference(tiny_model))


@pytest.mark.parametrize("make", [create_full_reference, create_no_reference, load_denoiser])
def test_engines_are_checked(make):
    with pytest.raises(ValueError, match="use 'auto', 'onnx' or 'torch'"):
        make("birqa", engine="tensorrt")
    with pytest.raises(ValueError, match="use engine='torch'"):
        make("birqa", engine="onnx", device="cuda")


def test_lists_are_of_the_kinds_that_are_asked_for():
    every, pairs, single = (
        birqa.list_metrics(*kinds) for kinds in ((), ("full-reference",), ("no-reference",))
    )
    assert sorted(every) == sorted(pairs + single)
    assert "birqa.kadid" in pairs
    assert not any(name.startswith("denoiser.") for name in every)
    assert {model.kind for model in list_models("denoiser")} <= {"denoiser"}


def test_other_work_on_pairs_refuses_a_blind_metric(blind_model):
    from birqa.attacks.subjects import load_subject
    from birqa.evaluation.peers import load_peer

    for use in (birqa.BiRQALoss, load_subject, lambda folder: load_peer(str(folder))):
        with pytest.raises(ValueError, match=r"blind\.tiny scores single pictures"):
            use(blind_model)
