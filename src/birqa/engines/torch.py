"""PyTorch: gradients and GPUs."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.blind.denoiser import Denoiser
from birqa.blind.network import Blind
from birqa.engines.base import Parts
from birqa.features.maps import LbpMode
from birqa.images import to_float
from birqa.model import Model, ModelError
from birqa.network.birqa import BiRQA
from birqa.network.precision import full_precision


def load_module(model: Model, device: str = "cpu", lbp: LbpMode | None = None) -> BiRQA:
    """The model as a frozen `BiRQA` module in evaluation mode; `lbp` other than its own is for attacks."""
    module = BiRQA(replace(model.config, lbp=lbp) if lbp else model.config)
    _load_weights(module.network, model)
    return module.eval().requires_grad_(False).to(device, torch.float32)


def load_single(model: Model, device: str = "cpu") -> Blind | Denoiser:
    """A no-reference metric or denoiser as a frozen module in evaluation mode."""
    module = Blind(model.config) if model.kind == "no-reference" else Denoiser(model.config)
    _load_weights(module, model)
    return module.eval().requires_grad_(False).to(device, torch.float32)


def run_single(module: Blind | Denoiser, pictures: Tensor) -> Tensor:
    """What `module` gives for pictures (N, 3, H, W) of any size: (N,), or pictures of that size. Edges are
    repeated to whole cells."""
    height, width = pictures.shape[-2:]
    down, right = (-side % module.config.multiple for side in (height, width))
    with full_precision(pictures.device):
        result: Tensor = module(F.pad(pictures, [0, right, 0, down], mode="replicate"))
    return result if result.ndim == 1 else result[..., :height, :width]


def _load_weights(network: nn.Module, model: Model) -> None:
    tensors = {name: torch.from_numpy(value) for name, value in model.tensors.items()}
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{model.folder}: the weights do not fit the configuration ({reason}).") from None


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 or float in [0, 1] -> (1, 3, H, W) float32."""
    planes = to_float(image) if image.dtype == np.uint8 else image
    return torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)))[None]


class TorchEngine:
    """Runs `model` on `device`; `batch` takes tensors and keeps gradients."""

    def __init__(self, model: Model, device: str = "cpu", threads: int | None = None) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.device = torch.device(device)
        self.module = load_module(model, device)

    def batch(self, dist: Tensor, ref: Tensor) -> Tensor:
        """(N, 3, H, W) float in [0, 1] -> (N,)."""
        scores: Tensor = self.module(dist.to(self.device), ref.to(self.device))
        return scores

    def score(self, dist: np.ndarray, ref: np.ndarray) -> float:
        with torch.no_grad():
            return float(self.module(self._tensor(dist), self._tensor(ref)))

    def explain(self, dist: np.ndarray, ref: np.ndarray) -> Parts:
        with torch.no_grad():
            parts = self.module.explain(self._tensor(dist), self._tensor(ref))
        return Parts(
            float(parts.score),
            parts.level_score[0].cpu().numpy(),
            parts.reliability[0].cpu().numpy(),
            [value[0, 0].cpu().numpy() for value in parts.strength],
            [value[0, 0].cpu().numpy() for value in parts.confidence],
            parts.quality[0, 0].cpu().numpy(),
            parts.grid,
        )

    def _tensor(self, image: np.ndarray) -> Tensor:
        return to_tensor(image).to(self.device)
