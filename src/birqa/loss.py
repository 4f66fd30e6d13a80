"""BiRQA as a training loss."""

from birqa.metric import require_torch

require_torch()

from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Literal  # noqa: E402

from torch import Tensor, nn  # noqa: E402

from birqa.engines.torch import load_module  # noqa: E402
from birqa.metric import check_tensors  # noqa: E402
from birqa.registry import find_model  # noqa: E402


class BiRQALoss(nn.Module):
    """1 - score: 0 for identical pictures, lower is better, differentiable in `dist`.

    The hard LBP comparison is differentiated through its soft form (straight-through). The weights are
    frozen. Follows `module.to(device)`, and stays in float32 whatever `half()` and the like do to the module
    that holds it. Each side of the pictures is at least 32 pixels. What cancels inside every cell of 2x2
    pixels (of the shipped weights) costs nothing: keep a small pixel loss beside it.

    Source: the score is that of BiRQA (Gushchin, Antsiferova, Vatolin, 2026), see `birqa.network.birqa`.
    """

    def __init__(
        self, name: str | Path = "birqa", reduction: Literal["mean", "sum", "none"] = "mean"
    ) -> None:
        """`name`: a full-reference metric's name, name.tag or folder; `reduction` is over the batch.

        Raises ValueError for another reduction or a name that is not known, ImportError without PyTorch.
        """
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction={reduction!r} is not known: use 'mean', 'sum' or 'none'.")
        self.reduction = reduction
        self.metric = load_module(find_model(name))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "BiRQALoss":
        """What PyTorch moves and casts modules by: the device is followed, the type is not."""
        return super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)

    def forward(self, dist: Tensor, ref: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] each -> a scalar, or (N,) with reduction="none".

        Raises ValueError for a wrong range, shape or size. A network's output that may leave [0, 1] is to be
        clamped first.
        """
        dist, ref = check_tensors(dist, ref)
        damage: Tensor = 1 - self.metric(dist, ref)
        if self.reduction == "none":
            return damage
        return damage.mean() if self.reduction == "mean" else damage.sum()
