"""One picture in, a score or a picture out: no-reference metrics and denoisers, on either engine."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from birqa.engines.base import NotScoredError
from birqa.images import to_float
from birqa.model import Model, check_self_test
from birqa.registry import must_be_tested

if TYPE_CHECKING:
    from torch import Tensor

Planes = NDArray[np.float32]


class SingleEngine(Protocol):
    """Pictures (B, 3, H, W) float32 -> what the network gives for them: (B,), or (B, 3, H, W)."""

    def run(self, pictures: Planes) -> Planes: ...


def create_single_engine(model: Model, engine: str, device: str, threads: int | None) -> SingleEngine:
    """`engine` is "onnx" or "torch"."""
    if engine == "onnx":
        return _Onnx(model, threads)
    return _Torch(model, device, threads)


class _Onnx:
    def __init__(self, model: Model, threads: int | None) -> None:
        from birqa.engines.onnx import start_session

        self.model = model
        self.threads = threads
        self.session = start_session(model, "network.onnx", model.tensors, threads)

    def __reduce__(self) -> tuple[Any, ...]:
        # As in OnnxEngine: the session cannot be pickled.
        return type(self), (self.model, self.threads)

    def run(self, pictures: Planes) -> Planes:
        height, width = pictures.shape[2:]
        try:
            (result,) = self.session.run(None, {"pictures": pad_to(pictures, self.model.config.multiple)})
        # ONNX Runtime's exceptions have no base of their own.
        except Exception as error:
            raise NotScoredError(
                f"ONNX Runtime could not run {self.model.name} on {len(pictures)} x {width}x{height}, likely "
                f"for want of memory ({str(error).splitlines()[0][:120]}): give fewer or smaller ones."
            ) from None
        planes: Planes = result if result.ndim == 1 else result[:, :, :height, :width]
        return planes


class _Torch:
    def __init__(self, model: Model, device: str, threads: int | None) -> None:
        import torch

        from birqa.engines.torch import load_single

        if threads:
            torch.set_num_threads(threads)
        self.device = torch.device(device)
        self.model = model
        self.module: Any = load_single(model, device)

    def run(self, pictures: Planes) -> Planes:
        import torch

        with torch.no_grad():
            planes: Planes = self.batch(torch.from_numpy(pictures)).cpu().numpy()
            return planes

    def batch(self, pictures: "Tensor") -> "Tensor":
        """As `run`, with gradients."""
        from birqa.engines.torch import run_single

        return run_single(self.module, pictures.to(self.device))


def pad_to(pictures: Planes, multiple: int) -> Planes:
    """Edges repeated down and right until both sides are multiples."""
    down, right = (-side % multiple for side in pictures.shape[2:])
    if not (down or right):
        return np.ascontiguousarray(pictures)
    return np.pad(pictures, [(0, 0), (0, 0), (0, down), (0, right)], mode="edge")


def probe(run: Callable[[Planes], Planes], image: np.ndarray) -> float:
    """What a self-test compares: the score of `image` (H, W, 3), or how much a denoiser changes it."""
    planes = to_planes(image)
    result = run(planes)
    return float(result[0]) if result.ndim == 1 else float(np.abs(result - planes).mean())


def check_single(model: Model, engine: SingleEngine, device: str) -> None:
    """Raises ModelError where the engine does not compute what was trained."""
    if must_be_tested(model, device):
        check_self_test(model, lambda image, _: probe(engine.run, image))


def to_planes(image: np.ndarray) -> Planes:
    """(H, W, 3) uint8 or float in [0, 1] -> (1, 3, H, W) float32."""
    planes = to_float(image) if image.dtype == np.uint8 else image.astype(np.float32)
    return np.ascontiguousarray(planes.transpose(2, 0, 1))[None]
