"""The state of a training run in one file without pickle, so that it goes on as if it had never stopped."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from birqa.files import replacing


def digest(*rows: object) -> str:
    """sha256 of what a run depends on but cannot hold: names and ratings, the weights of a `state_dict`.

    Of names, not of folders: a data set may move.
    """
    total = hashlib.sha256()
    for row in rows:
        if isinstance(row, dict):
            for name, tensor in sorted(row.items()):
                total.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
        else:
            total.update(f"{row}\n".encode())
    return total.hexdigest()


Modules = dict[str, nn.Module]


def save_checkpoint(
    path: Path, modules: Modules, optimiser: torch.optim.Optimizer, meta: dict[str, Any]
) -> None:
    """Modules by name, the optimiser's moments, and `meta` as JSON; the old file stays till then."""
    tensors = {
        f"{name}/{key}": value
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"adam/{index}/{key}": value for key, value in moments.items()}
    with replacing(path) as part:
        save_file(
            {name: value.contiguous() for name, value in tensors.items()},
            part,
            metadata={name: json.dumps(value) for name, value in meta.items()},
        )


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and `meta`. Raises ValueError for a file that is not whole."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
    except SafetensorError:
        raise ValueError(f"{path} is empty, cut off or damaged: delete its folder to start anew.") from None


def _filled(record: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The record with what it lacks of `defaults`, in its parts too."""
    parts = {
        name: _filled(value, defaults[name])
        for name, value in record.items()
        if isinstance(value, dict) and isinstance(defaults.get(name), dict)
    }
    return defaults | record | parts


def load_checkpoint(
    path: Path,
    modules: Modules,
    optimiser: torch.optim.Optimizer,
    same: dict[str, Any],
    defaults: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Puts the state back and gives `meta`.

    What the file lacks, since it is older than a setting, is taken to be as in `defaults`. Raises ValueError
    for a file that is not whole, and where one of `same` differs in it: the run was of another configuration
    or other data.
    """
    tensors, meta = read_tensors(path)
    kept = _filled(meta, json.loads(json.dumps(defaults or {})))
    for name, value in same.items():
        if kept.get(name) != json.loads(json.dumps(value)):
            raise ValueError(f"{path} was written with another {name}; use another run folder.")

    def part(prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)
        }

    for name, module in modules.items():
        module.load_state_dict(part(f"{name}/"))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in part("adam/").items():
        index, key = name.split("/")
        moments.setdefault(int(index), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": moments, "param_groups": groups})
    return meta
