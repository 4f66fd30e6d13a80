"""What a metric is, to a person with two pictures."""

import math
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from birqa.calibration import PredictionInterval
from birqa.engines.base import Engine, Parts
from birqa.engines.single import check_single, create_single_engine, to_planes
from birqa.grid import margins
from birqa.images import load_image, to_float
from birqa.model import Kind, Model, check_self_test
from birqa.network.config import BiRQAConfig
from birqa.pyramid import MINIMUM_SIDE
from birqa.ranges import MOST_THREADS, is_whole
from birqa.registry import find_model, list_models, must_be_tested

if TYPE_CHECKING:
    from torch import Tensor

EngineName = Literal["auto", "onnx", "torch"]
NEEDS_TORCH = 'this needs PyTorch: pip install "birqa[torch]".'


@dataclass(frozen=True)
class MetricInfo:
    """What a score means."""

    name: str
    """name.tag."""
    version: str
    """Of the weights; two versions give different scores."""
    higher_is_better: bool = True
    range: tuple[float, float] = (0.0, 1.0)
    identity: float | None = 1.0
    """The score of two identical pictures, above which nothing scores; None without a reference."""
    minimum_side: int = MINIMUM_SIDE


@dataclass(frozen=True)
class ScoreExplanation:
    """One score and what it is made of. L levels, fine to coarse."""

    score: float
    """In [0, 1]; 1 where nothing differs."""
    level_score: np.ndarray
    """(L,), in [0, 1]."""
    reliability: np.ndarray
    """(L,), sums to 1; the score is the sum of `contribution`."""
    quality_map: np.ndarray
    """(H, W) float32 in [0, 1]: 1 where nothing is seen to differ, lower where the damage is."""
    strength: list[np.ndarray]
    """CSRAM strength of levels 1..L-1, (h_l, w_l) >= 0: how much the finer level adds there."""
    confidence: list[np.ndarray]
    """CSRAM confidence of levels 1..L-1, (h_l, w_l) in (0, 1)."""

    @property
    def contribution(self) -> np.ndarray:
        """(L,): what each level adds to the score."""
        return self.reliability * self.level_score


class FullReferenceMetric:
    """Scores distorted pictures against their references; made by `create_metric`."""

    def __init__(self, model: Model, engine_name: str, device: str, threads: int | None, grad: bool) -> None:
        self.model = model
        self.info = MetricInfo(model.name, model.version)
        self.settings: dict[str, Any] = {
            "engine": engine_name,
            "device": device,
            "weights": model.fingerprint,
        }
        self.grad = grad
        self.engine: Engine
        if engine_name == "onnx":
            from birqa.engines.onnx import OnnxEngine

            self.engine = OnnxEngine(model, threads)
        else:
            from birqa.engines.torch import TorchEngine

            self.engine = TorchEngine(model, device, threads)
        if must_be_tested(model, device):
            check_self_test(model, self.engine.score)

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value}" for key, value in self.settings.items())
        return f"{self.info.name} {self.info.version} ({settings})"

    def __call__(self, dist: Any, ref: Any) -> Any:
        """Scores (N,), 1.0 for identical pictures, lower for worse ones.

        Args:
            dist: the distorted picture(s): a path, a Pillow image, an array (H, W, 3) or (N, H, W, 3), a
                tensor (N, 3, H, W), or a list of paths, images and arrays. uint8, uint16 (0 to 65535), or
                float in [0, 1]; each side at least 32 pixels.
            ref: the reference(s), as many as `dist` or a single one.

        Returns:
            A tensor on the device of `dist` for tensors, else a float32 array.

        Raises:
            ValueError: wrong range, channels or sizes, with the mend; `ImageError` for files.
        """
        if _is_tensor(dist) or _is_tensor(ref):
            return self._call_tensors(dist, ref)
        return np.array([self.engine.score(d, r) for d, r in _pairs(dist, ref)], np.float32)

    @property
    def interval(self) -> PredictionInterval | None:
        """Where human ratings lie, given scores: `low, high = metric.interval(scores)`; None if not known."""
        return self.model.interval

    def explain(self, dist: Any, ref: Any) -> ScoreExplanation:
        """The parts of one pair's score; arguments as for a call, one picture each.

        Raises ValueError as a call does, and for more than one pair.
        """
        if _is_tensor(dist) or _is_tensor(ref):
            dist, ref = (_from_tensors(x) for x in check_tensors(dist, ref))
        pairs = list(_pairs(dist, ref))
        if len(pairs) != 1:
            raise ValueError(f"explain takes one pair at a time, but {len(pairs)} were given.")
        dist, ref = pairs[0]
        parts = self.engine.explain(dist, ref)
        return ScoreExplanation(
            parts.score,
            parts.level_score,
            parts.reliability,
            _enlarge(parts, self.model.config, dist.shape[:2]),
            parts.strength,
            parts.confidence,
        )

    def _call_tensors(self, dist: Any, ref: Any) -> "Tensor":
        dist, ref = check_tensors(dist, ref)
        import torch

        for label, pictures in (("dist", dist), ("ref", ref)):
            if pictures.requires_grad and torch.is_grad_enabled() and not self.grad:
                raise ValueError(
                    f"{label} requires gradients, which this metric would drop: use create_metric(..., "
                    "grad=True) or BiRQALoss, or call it under torch.no_grad()."
                )
        if self.settings["engine"] == "onnx":
            pairs = zip(_from_tensors(dist), _from_tensors(ref), strict=True)
            return torch.tensor([self.engine.score(d, r) for d, r in pairs], device=dist.device)
        with torch.set_grad_enabled(self.grad and torch.is_grad_enabled()):
            scores: Tensor = self.engine.batch(dist, ref).to(dist.device)  # type: ignore[attr-defined]
            return scores


class NoReferenceMetric:
    """Scores pictures by themselves; made by `create_metric`."""

    def __init__(self, model: Model, engine_name: str, device: str, threads: int | None, grad: bool) -> None:
        self.model = model
        self.info = MetricInfo(model.name, model.version, identity=None)
        self.settings: dict[str, Any] = {
            "engine": engine_name,
            "device": device,
            "weights": model.fingerprint,
        }
        self.grad = grad
        self.engine = create_single_engine(model, engine_name, device, threads)
        check_single(model, self.engine, device)

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value}" for key, value in self.settings.items())
        return f"{self.info.name} {self.info.version} ({settings})"

    def __call__(self, image: Any) -> Any:
        """Scores (N,) in [0, 1], higher is better.

        Args:
            image: the picture(s), in any of the forms that a full-reference metric takes.

        Returns:
            A tensor on the device of `image` for tensors, else a float32 array.

        Raises:
            ValueError: wrong range, channels or sizes, with the mend; `ImageError` for files.
        """
        if _is_tensor(image):
            return self._call_tensors(image)
        scores = []
        for item in _items(image):
            picture = _picture("image", item)
            _check_minimum(picture.shape[:2])
            scores.append(self.engine.run(to_planes(picture))[0])
        return np.array(scores, np.float32)

    def batch(self, pictures: np.ndarray) -> np.ndarray:
        """float32 (B, 3, H, W) in [0, 1] -> float32 (B,): what certificates call many times. Only the size is
        checked."""
        _check_minimum(pictures.shape[2:])
        return self.engine.run(pictures)

    def _call_tensors(self, image: Any) -> "Tensor":
        import torch

        image = check_tensor("image", image)
        _check_minimum(image.shape[-2:])
        if not self.grad:
            if image.requires_grad and torch.is_grad_enabled():
                raise ValueError(
                    "image requires gradients, which this metric would drop: use "
                    "create_metric(..., grad=True), or call it under torch.no_grad()."
                )
            return torch.from_numpy(self.engine.run(image.detach().cpu().numpy())).to(image.device)
        scores: Tensor = self.engine.batch(image).to(image.device)  # type: ignore[attr-defined]
        return scores


@overload
def create_metric(  # type: ignore[overload-overlap]
    name: Literal[
        "blind", "blind.clive", "blind.clive-kadid", "blind.clive-denoised", "blind.clive-kadid-denoised"
    ],
    *,
    engine: EngineName = "auto",
    device: str | None = None,
    threads: int | None = None,
    grad: bool = False,
) -> NoReferenceMetric: ...


@overload
def create_metric(
    name: str | Path = "birqa",
    *,
    engine: EngineName = "auto",
    device: str | None = None,
    threads: int | None = None,
    grad: bool = False,
) -> FullReferenceMetric: ...


def create_metric(
    name: str | Path = "birqa",
    *,
    engine: EngineName = "auto",
    device: str | None = None,
    threads: int | None = None,
    grad: bool = False,
) -> FullReferenceMetric | NoReferenceMetric:
    """A metric by name ("birqa"), name.tag ("birqa.kadid"), or folder with weights.

    Gives a `FullReferenceMetric`, called with (dist, ref), or, for "blind" and folders of its kind, a
    `NoReferenceMetric`, called with one picture.

    Args:
        engine: "onnx" (CPU, no PyTorch needed), "torch" (GPU, gradients), or "auto": torch where a GPU or
            gradients are asked for, else onnx.
        device: for torch, for example "cuda"; default "cpu".
        threads: CPU threads; default all cores. With torch this sets the number for the whole process.
        grad: let gradients flow to `dist`, or to the one picture (needs torch and tensors).

    Raises:
        ValueError: unknown name or engine, or a device that is not there. ModelError (a ValueError): weights
            that are damaged or do not pass their self-test. ImportError: torch is needed but not installed.

    Warns of a metric that is fitted to noisy pictures, for certificates: its scores of others mean nothing.
    """
    metric = create_any(name, engine=engine, device=device, threads=threads, grad=grad)
    if getattr(metric.model.config, "noise", ()):
        warnings.warn(
            f"{metric.info.name} is fitted to noisy pictures, for birqa certify: to score pictures as they "
            "are, use create_metric('blind').",
            stacklevel=2,
        )
    return metric


def create_any(
    name: str | Path,
    *,
    engine: str = "auto",
    device: str | None = None,
    threads: int | None = None,
    grad: bool = False,
) -> FullReferenceMetric | NoReferenceMetric:
    """As `create_metric`, for whoever makes the noise: without its warning."""
    chosen, device = choose_engine(engine, device, grad, threads)
    model = find_model(name, "full-reference", "no-reference")
    if model.kind == "no-reference":
        return NoReferenceMetric(model, chosen, device, threads, grad)
    return FullReferenceMetric(model, chosen, device, threads, grad)


def create_full_reference(
    name: str | Path, *, engine: EngineName = "auto", device: str | None = None, threads: int | None = None
) -> FullReferenceMetric:
    """As `create_metric`, for work on pairs: a metric of another kind is refused."""
    chosen, device = choose_engine(engine, device, grad=False, threads=threads)
    return FullReferenceMetric(find_model(name), chosen, device, threads, grad=False)


def create_no_reference(
    name: str | Path, *, engine: EngineName = "auto", device: str | None = None, threads: int | None = None
) -> NoReferenceMetric:
    """As `create_metric`, for work on single pictures: a metric of another kind is refused."""
    chosen, device = choose_engine(engine, device, grad=False, threads=threads)
    return NoReferenceMetric(find_model(name, "no-reference"), chosen, device, threads, grad=False)


def choose_engine(engine: str, device: str | None, grad: bool, threads: int | None = None) -> tuple[str, str]:
    """Engine and device that will do, as `create_metric` takes them; raises what it raises."""
    if threads is not None and not (is_whole(threads, 1) and threads <= MOST_THREADS):
        raise ValueError(f"threads={threads!r} should be a whole number from 1 to {MOST_THREADS}, or None.")
    if engine not in ("auto", "onnx", "torch"):
        raise ValueError(f"engine={engine!r} is not known: use 'auto', 'onnx' or 'torch'.")
    device = device or "cpu"
    chosen = engine if engine != "auto" else "torch" if grad or device != "cpu" else "onnx"
    if chosen == "onnx" and (grad or device != "cpu"):
        raise ValueError("the onnx engine runs on the CPU without gradients: use engine='torch'.")
    if chosen == "torch":
        require_device(device)
    return chosen, device


def list_metrics(*kinds: Kind) -> list[str]:
    """name.tag of every metric in the package, or of those of one kind: "full-reference", "no-reference"."""
    return [model.name for model in list_models(*(kinds or ("full-reference", "no-reference")))]


def require_torch() -> None:
    """Raises ImportError, in one sentence, where PyTorch is missing."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise ImportError(NEEDS_TORCH) from None


def require_device(device: str) -> None:
    """Raises ValueError, in one sentence, for a device that PyTorch cannot use here."""
    require_torch()
    import torch

    try:
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={device!r} cannot be used ({reason}): use 'cpu', or install its driver."
        ) from None


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def check_tensors(dist: Any, ref: Any) -> "tuple[Tensor, Tensor]":
    """Float tensors (N, 3, H, W) in [0, 1] of one shape."""
    if not (_is_tensor(dist) and _is_tensor(ref)):
        raise ValueError("dist is a tensor and ref is not, or the other way round: give both in one form.")
    checked = [check_tensor(label, value) for label, value in (("dist", dist), ("ref", ref))]
    _check_sizes(checked[0].shape[-2:], checked[1].shape[-2:])
    if checked[1].shape[0] != checked[0].shape[0]:
        if checked[1].shape[0] != 1:
            raise ValueError(
                f"{checked[0].shape[0]} distorted pictures but {checked[1].shape[0]} references."
            )
        checked[1] = checked[1].expand_as(checked[0])
    return checked[0], checked[1]


def check_tensor(label: str, value: Any) -> "Tensor":
    """A float tensor (N, 3, H, W) in [0, 1]."""
    import torch

    if value.ndim == 4 and not value.numel():
        raise ValueError(f"{label} has shape {tuple(value.shape)}, which holds no picture: leave it out.")
    if value.ndim != 4 or value.shape[1] != 3:
        raise ValueError(
            f"{label} has shape {tuple(value.shape)}, but RGB tensors (N, 3, H, W) are needed: "
            "add a batch dimension, move channels first, or repeat a grey channel three times."
        )
    if value.dtype == torch.uint8:
        value = value.float() / 255
    elif not value.is_floating_point():
        raise ValueError(f"{label} is {value.dtype}: convert it to uint8, or to float in [0, 1].")
    else:
        _check_range(label, float(value.detach().min()), float(value.detach().max()))
    checked: Tensor = value.float().clamp(0, 1)
    return checked


def _from_tensors(images: "Tensor") -> list[np.ndarray]:
    return list(images.detach().cpu().permute(0, 2, 3, 1).numpy())


def _pairs(dist: Any, ref: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One pair at a time, so that a list of files is never in memory as a whole."""
    dists, refs = _items(dist), _items(ref)
    if len(refs) not in (1, len(dists)):
        raise ValueError(f"{len(dists)} distorted pictures but {len(refs)} references: give as many, or one.")
    shared = _picture("ref", refs[0]) if len(refs) == 1 else None
    for index, item in enumerate(dists):
        distorted = _picture("dist", item)
        reference = _picture("ref", refs[index]) if shared is None else shared
        _check_sizes(distorted.shape[:2], reference.shape[:2])
        yield distorted, reference


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, np.ndarray):
        return list(value) if value.ndim == 4 else [value]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        return value
    return [value]


def _picture(label: str, value: Any) -> np.ndarray:
    """One picture as uint8, or float32 in [0, 1], (H, W, 3)."""
    if _is_tensor(value):
        raise ValueError(f"{label} is a list of tensors: stack them to one (N, 3, H, W).")
    if not isinstance(value, np.ndarray):
        return load_image(value)
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{label} is a masked array, whose masked samples have no value: fill them first.")
    if value.ndim != 3 or value.shape[2] != 3 or not value.size:
        raise ValueError(
            f"{label} has shape {value.shape}, but RGB arrays (H, W, 3) are needed: "
            "move channels last, drop alpha, or repeat a grey channel three times."
        )
    if value.dtype == np.uint8:
        return value
    if value.dtype.kind == "f":
        _check_range(label, float(value.min()), float(value.max()))
        return np.clip(value, 0, 1).astype(np.float32)
    try:
        return to_float(value)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None


def _check_range(label: str, low: float, high: float) -> None:
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{label} has samples that are no numbers (NaN): find what made them.")
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise ValueError(
            f"{label} has values from {low:g} to {high:g}, but floats must lie in [0, 1]: "
            "divide 0..255 data by 255, map [-1, 1] data by (x + 1) / 2, clamp overshoot."
        )


def _check_sizes(dist: Sequence[int], ref: Sequence[int]) -> None:
    if tuple(dist) != tuple(ref):
        raise ValueError(
            f"the distorted picture is {dist[1]}x{dist[0]} and the reference {ref[1]}x{ref[0]}: "
            "they must have one size; resize one of them on purpose (birqa score has --resize)."
        )
    _check_minimum(dist)


def _check_minimum(size: Sequence[int]) -> None:
    if min(size) < MINIMUM_SIDE:
        raise ValueError(
            f"the pictures are {size[1]}x{size[0]}, but each side must be at least {MINIMUM_SIDE} pixels."
        )


def _enlarge(parts: Parts, config: BiRQAConfig, size: tuple[int, int]) -> np.ndarray:
    """The local quality: bilinear, then cut to the picture without its padding."""
    from PIL import Image

    factor = config.patch * config.shrink
    height, width = parts.quality.shape
    image = Image.fromarray(parts.quality).resize(
        (width * factor, height * factor), Image.Resampling.BILINEAR
    )
    above, _, left, _ = margins(parts.grid, size, config.shrink)
    return np.array(image)[above : above + size[0], left : left + size[1]]
