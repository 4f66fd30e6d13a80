"""Writing a trained module as a model folder, and as one self-contained ONNX file."""

import copy
import hashlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, TensorProto
from safetensors.numpy import save
from torch import Tensor, nn

from birqa.blind.config import BlindConfig, DenoiserConfig
from birqa.blind.denoiser import Denoiser
from birqa.blind.network import Blind
from birqa.engines.single import probe
from birqa.engines.torch import run_single
from birqa.features.maps import FeatureMaps
from birqa.files import replacing
from birqa.model import FORMAT, PREPROCESSING, WEIGHTS_FILE, Kind, Model, self_test_pair
from birqa.network.birqa import BiRQA, Explanation, Network
from birqa.network.config import BiRQAConfig
from birqa.pyramid import HALO, MAPS

OPSET = 18
Single = Blind | Denoiser


def level_names(config: BiRQAConfig) -> list[str]:
    return [f"maps_{level}" for level in range(config.levels)]


class _Features(nn.Module):
    def __init__(self, config: BiRQAConfig) -> None:
        super().__init__()
        self.maps = FeatureMaps(
            config.levels,
            "soft" if config.lbp == "soft" else "hard",
            config.lbp_temperature,
            config.feature_floor,
        )

    def forward(self, dist: Tensor, ref: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.maps(dist, ref))


class _Traced(nn.Module):
    """The network with tensors for arguments and results, as a graph needs them."""

    def __init__(self, network: Network, explain: bool) -> None:
        super().__init__()
        self.network = network
        self.explain = explain

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        result = self.network(list(inputs[:-1]), inputs[-1], explain=self.explain)
        if not self.explain:
            return (result,)
        parts: Explanation = result
        maps = (*parts.strength, *parts.confidence)
        return (parts.score, parts.level_score, parts.reliability, parts.quality, *maps)


def _trace(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: dict[str, dict[int, str]] | None = None,
) -> ModelProto:
    """`axes` of any length, by name; by default rows and columns of every map."""
    buffer = io.BytesIO()
    if axes is None:
        flat = ("size", "score", "level_score", "reliability")
        spatial = [name for name in (*inputs, *outputs) if name not in flat]
        axes = {name: {2: f"{name}_rows", 3: f"{name}_columns"} for name in spatial}
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of every shape it reads and of its own age; the parity tests watch what it writes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            example,
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            do_constant_folding=False,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
        )
    return onnx.load_model_from_string(buffer.getvalue())


def features_graph(config: BiRQAConfig) -> ModelProto:
    """dist, ref (1, 3, H + 10, W + 10) -> maps_0.. (1, 7, H / 2^l, W / 2^l)."""
    side = 2 * config.multiple
    example = torch.rand(2, 1, 3, side + 2 * HALO, side + config.multiple + 2 * HALO)
    return _trace(_Features(config), (example[0], example[1]), ["dist", "ref"], level_names(config))


def network_graph(config: BiRQAConfig, explain: bool) -> ModelProto:
    """maps_0.., size (2,) -> score, and every part of `Explanation` on request, without the weights' values.

    The weights are named as in `Network.state_dict()` and declared external.
    """
    # The exporter merges weights of equal value; fresh random ones are all different.
    network = Network(config)
    for parameter in network.parameters():
        nn.init.uniform_(parameter)
    side = 2 * config.multiple
    maps = [
        torch.rand(1, MAPS, side >> level, (side + config.multiple) >> level)
        for level in range(config.levels)
    ]
    levels = range(1, config.levels) if config.csram else range(0)
    outputs = ["score"]
    if explain:
        outputs += ["level_score", "reliability", "quality"]
        outputs += [f"{kind}_{level}" for kind in ("strength", "confidence") for level in levels]
    size = torch.tensor([float(side), float(side + config.multiple)])
    model = _trace(_Traced(network, explain), (*maps, size), [*level_names(config), "size"], outputs)

    for tensor in model.graph.initializer:
        tensor.name = tensor.name.removeprefix("network.")
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = name.removeprefix("network.")
    return _without_weights(model, set(network.state_dict()))


def single_graph(module: Single) -> ModelProto:
    """pictures (B, 3, H, W) -> scores (B,) or pictures, without the weights' values; sides are multiples of
    the configuration's `multiple`."""
    module = copy.deepcopy(module)
    # The exporter merges weights of equal value and folds those that are zero; random ones are all different.
    for tensor in (*module.parameters(), *module.buffers()):
        nn.init.uniform_(tensor) if tensor.is_floating_point() else tensor.zero_()
    side = 8 * module.config.multiple
    scored = isinstance(module, Blind)
    free = {0: "count", 2: "rows", 3: "columns"}
    model = _trace(
        module,
        (torch.rand(2, 3, 4 * side, 5 * side),),
        ["pictures"],
        ["result"],
        {"pictures": free, "result": {0: "count"} if scored else free},
    )
    return _without_weights(model, set(single_state(module)))


def single_state(module: Single) -> dict[str, Tensor]:
    """The tensors that are stored; the count of batches that a normalisation has seen is none of them."""
    return {name: value for name, value in module.state_dict().items() if value.is_floating_point()}


def _without_weights(model: ModelProto, weights: set[str]) -> ModelProto:
    lost = weights - {tensor.name for tensor in model.graph.initializer}
    if lost:
        raise RuntimeError(f"the exporter lost weights: {', '.join(sorted(lost))}")
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=WEIGHTS_FILE)
    return model


def save_single(module: Single, folder: Path, *, name: str, version: str, card: dict[str, Any]) -> None:
    """Write a no-reference metric or a denoiser as a model folder; an existing one is replaced as a whole.

    Tensors are kept as float32, in half precision where it holds them exactly: the terms of a kernel
    regression cancel, which rounding would spoil.
    """
    module = copy.deepcopy(module).eval().cpu()
    stored = {name: _narrowed(value.numpy()) for name, value in single_state(module).items()}

    def run(pictures: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return run_single(module, torch.from_numpy(pictures)).numpy()

    record = {
        "kind": "no-reference" if isinstance(module, Blind) else "denoiser",
        "name": name,
        "version": version,
        "self_test": probe(run, self_test_pair()[0]),
        "card": card,
    }
    files = {WEIGHTS_FILE: save(stored), "network.onnx": single_graph(module).SerializeToString()}
    _write_folder(folder, record, module.config, files, stored)


def _narrowed(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return half if np.array_equal(half, values) else values


def save_model(
    module: BiRQA, folder: Path, *, name: str, version: str, card: dict[str, Any], half: bool = True
) -> None:
    """Write a model folder that `create_metric(folder)` takes; an existing one is replaced as a whole.

    `half` stores float16, which halves the file; the self-test score is that of the stored weights. `module`
    itself is left as it is. Raises ValueError where `folder` is there and is no model.
    """
    module = copy.deepcopy(module).eval().cpu()
    stored = {key: value.numpy() for key, value in module.network.state_dict().items()}
    if half:
        stored = {key: value.astype(np.float16) for key, value in stored.items()}
        module.network.load_state_dict(
            {key: torch.from_numpy(v.astype(np.float32)) for key, v in stored.items()}
        )
    files = {
        WEIGHTS_FILE: save(stored),
        "features.onnx": features_graph(module.config).SerializeToString(),
        "network.onnx": network_graph(module.config, explain=False).SerializeToString(),
        "explain.onnx": network_graph(module.config, explain=True).SerializeToString(),
    }
    pair = (torch.from_numpy(image.transpose(2, 0, 1).copy())[None] / 255 for image in self_test_pair())
    with torch.no_grad():
        self_test = float(module(*pair))
    record = {
        "kind": "full-reference",
        "name": name,
        "version": version,
        "self_test": self_test,
        "card": card,
    }
    _write_folder(folder, record, module.config, files, stored)


def check_model_folder(folder: Path) -> None:
    """Raises ValueError where `folder` holds something that is no model, which would be lost."""
    if (
        folder.exists()
        and not (folder / "model.json").is_file()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise ValueError(f"{folder} is there and is no model: name another output, or move it away")


def _write_folder(
    folder: Path,
    record: dict[str, Any],
    config: BiRQAConfig | BlindConfig | DenoiserConfig,
    files: dict[str, bytes],
    stored: dict[str, np.ndarray],
) -> None:
    check_model_folder(folder)
    kind: Kind = record["kind"]
    record = {"format": FORMAT} | record
    record |= {
        "preprocessing": PREPROCESSING[kind],
        "config": config.to_dict(),
        "sha256": {file: hashlib.sha256(data).hexdigest() for file, data in files.items()},
        "parameters": sum(value.size for value in stored.values()),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        new = Path(beside) / "model"
        new.mkdir()
        (new / "model.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        for file, data in files.items():
            (new / file).write_bytes(data)
        if folder.exists():
            os.replace(folder, Path(beside) / "old")
        os.replace(new, folder)


def _preparation(config: BiRQAConfig) -> str:
    """What a graph says of itself to who has no birqa at hand."""
    return (
        f"RGB in 0..1. Mean over {config.shrink}x{config.shrink} pixels, sides that are no multiple of "
        f"{config.shrink} filled up by mirroring at the outermost pixel (birqa.grid: where the cells begin). "
        "Mirror likewise down and right to a "
        f"multiple of {config.multiple}, then repeat the edges by {HALO} pixels on every side. features.onnx "
        f"takes both as float32 (1, 3, H + {2 * HALO}, W + {2 * HALO}); network.onnx its outputs, and size = "
        "(height, width) after the means and before the mirroring."
    )


def export_onnx(model: Model, out: Path) -> list[Path]:
    """Write `model` as features.onnx and network.onnx with its weights inside, for other runtimes.

    Where the configuration has a `shrink` above 1, first average the pictures over so many pixels a side,
    sides that are no multiple of it filled up by mirroring at the outermost pixel (NumPy's "reflect"). Mirror
    them likewise down and right to a multiple of `model.config.multiple` (32 for the weights that come with
    the package), then repeat their edges by 5 pixels on every side. Feed both to features.onnx as float32
    (1, 3, H + 10, W + 10) in [0, 1], and its outputs, with `size` = (height, width) of the averaged pictures
    before mirroring, to network.onnx. `birqa.grid` says where the cells of the averages begin. The graphs'
    metadata say the same.
    Raises ValueError where `out` is a model folder.
    """
    if (out / "model.json").exists():
        raise ValueError(f"{out} is a model folder, whose graphs are of another kind: choose another folder.")
    out.mkdir(parents=True, exist_ok=True)
    network = network_graph(model.config, explain=True)
    for tensor in network.graph.initializer:
        if tensor.name in model.tensors:
            tensor.CopyFrom(onnx.numpy_helper.from_array(model.tensors[tensor.name], tensor.name))
    written = []
    for name, graph in (("features", features_graph(model.config)), ("network", network)):
        onnx.helper.set_model_props(graph, {"model": model.label, "pictures": _preparation(model.config)})
        path = out / f"{name}.onnx"
        with replacing(path) as part:
            part.write_bytes(graph.SerializeToString())
        written.append(path)
    return written
