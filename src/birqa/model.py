"""A model on disk: one folder with its weights, its card and its graphs.

weights.safetensors   the trained tensors, one file for every engine
model.json            kind, name.tag, configuration, sha256 of the weights, card, self-test
network.onnx          takes its weights from weights.safetensors: feature pyramid -> score of a full-reference
                      metric, pictures -> scores of a no-reference one, pictures -> pictures of a denoiser
features.onnx         full reference only: pictures -> feature pyramid; holds no weights
explain.onnx          full reference only: as network.onnx, with every part of the score as an output
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from birqa.blind.config import BlindConfig, DenoiserConfig
from birqa.calibration import PredictionInterval
from birqa.grid import MUCH_MORE
from birqa.network.config import BiRQAConfig
from birqa.ranges import is_number

FORMAT = 2
WEIGHTS_FILE = "weights.safetensors"
Kind = Literal["full-reference", "no-reference", "denoiser"]
CONFIGS: dict[Kind, Any] = {
    "full-reference": BiRQAConfig,
    "no-reference": BlindConfig,
    "denoiser": DenoiserConfig,
}
# What is done to pictures before the network; stored beside the weights and required to match at load.
PREPROCESSING: dict[Kind, str] = {
    "full-reference": "rgb-unit-range, mirrored to whole patches, edges repeated for the windows",
    "no-reference": "rgb-unit-range, replicate padding to whole cells",
    "denoiser": "rgb-unit-range with noise beyond it, replicate padding to whole cells",
}


class ModelError(ValueError):
    """A model folder cannot be used; the message says why and how to mend it."""


@dataclass(frozen=True)
class Model:
    """A checked model folder. `name` is name.tag, for example birqa.kadid."""

    folder: Path
    name: str
    version: str
    kind: Kind
    config: Any
    """A `BiRQAConfig`, `BlindConfig` or `DenoiserConfig`, by the kind."""
    sha256: dict[str, str]
    """Of weights.safetensors and every graph, by file name."""
    card: dict[str, Any]
    self_test: float
    interval: PredictionInterval | None = None
    """Where a rating lies, given the score; None for a model that was not calibrated."""

    def read(self, file: str) -> bytes:
        """The bytes of one of the model's files. Raises ModelError if it is missing or another one."""
        try:
            data = (self.folder / file).read_bytes()
        except FileNotFoundError:
            raise ModelError(f"{self.folder} has no {file}: fetch or train the model again.") from None
        if hashlib.sha256(data).hexdigest() != self.sha256.get(file):
            raise ModelError(
                f"{self.folder}: {file} is not the file that model.json describes; "
                "fetch or train the model again."
            )
        return data

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """The weights as float32, whatever the precision they are stored in."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            stored = load(self.read(WEIGHTS_FILE))
        except SafetensorError as error:
            raise ModelError(
                f"{self.folder / WEIGHTS_FILE} is damaged ({error}); fetch or train the model again."
            ) from None
        return {name: value.astype(np.float32) for name, value in stored.items()}

    @property
    def digest(self) -> str:
        """sha256 of what decides its scores: kind, configuration, weights and graphs. With a reference, also
        of what is done to pictures before; certificates name others without it."""
        parts: dict[str, Any] = {"kind": self.kind, "config": self.config.to_dict(), "files": self.sha256}
        if self.kind == "full-reference":
            parts["preprocessing"] = PREPROCESSING[self.kind]
            if self.config.shrink > 1:
                parts["grid"] = MUCH_MORE
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def label(self) -> str:
        """Name, version and fingerprint, for records."""
        return f"{self.name} {self.version} {self.fingerprint}"

    @property
    def fingerprint(self) -> str:
        """Twelve digits that tell these weights from all others."""
        return self.sha256[WEIGHTS_FILE][:12]


def load_model(folder: Path) -> Model:
    """Read and check `folder`. Raises ModelError for a missing file, a foreign format or a damaged record."""
    path = folder / "model.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder} is not a model folder: it has no model.json.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({error}); fetch or train the model again.") from None
    if not isinstance(record, dict):
        raise ModelError(f"{path} is damaged (it is not a JSON object); fetch or train the model again.")
    # Records from before there were other kinds do not name theirs.
    kind = record.get("kind", "full-reference")
    known = kind in get_args(Kind)
    if record.get("format") != FORMAT or not known or record.get("preprocessing") != PREPROCESSING[kind]:
        raise ModelError(
            f"{path} was written for another release of birqa; install the release that made it."
        )
    try:
        _check_record(record)
        return Model(
            folder=folder,
            name=record["name"],
            version=record["version"],
            kind=kind,
            config=CONFIGS[kind].from_dict(record["config"]),
            sha256=record["sha256"],
            card=record["card"],
            self_test=record["self_test"],
            interval=PredictionInterval.from_dict(record["interval"]) if "interval" in record else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} is incomplete ({error}); fetch or train the model again.") from None


def _check_record(record: dict[str, Any]) -> None:
    """Raises ValueError or KeyError for a field that is not what its users take it to be."""
    digests, score = record["sha256"], record["self_test"]
    if not all(isinstance(record[name], str) for name in ("name", "version")):
        raise ValueError("name and version should be text")
    if not isinstance(digests, dict) or not all(isinstance(one, str) for one in digests.values()):
        raise ValueError("sha256 should give the digest of each file")
    if WEIGHTS_FILE not in digests:
        raise ValueError(f"sha256 lacks {WEIGHTS_FILE}")
    if not is_number(score):
        raise ValueError("self_test should be a score")


def self_test_pair() -> tuple[np.ndarray, np.ndarray]:
    """A fixed (dist, ref), uint8 (96, 131, 3): smooth colour waves and texture, coarsely quantised."""
    rows, columns = np.mgrid[0:96, 0:131].astype(np.float64)
    waves = [
        np.sin(rows / 7 + k) + np.cos(columns / 5 - 2 * k) + np.sin(rows * columns / 90) for k in range(3)
    ]
    ref = np.rint(127.5 + 40 * np.stack(waves, axis=2)).astype(np.uint8)
    return ref // 24 * 24 + 12, ref


def check_self_test(
    model: Model, score: Callable[[np.ndarray, np.ndarray], float], tolerance: float = 1e-3
) -> None:
    """Raises ModelError unless `score(dist, ref)` gives the self-test score stored with the weights."""
    got = score(*self_test_pair())
    if not abs(got - model.self_test) <= tolerance:
        raise ModelError(
            f"{model.name} scores {got:.5f} on its self-test where {model.self_test:.5f} is expected: "
            "this engine does not compute what was trained; try another engine."
        )
