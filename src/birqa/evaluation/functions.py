"""Other people's metrics without reference behind one call.

python:package.module:name  a function of pictures (B, 3, H, W) in [0, 1], NumPy's or torch's, -> scores (B,)
pyiqa:brisque               a no-reference metric of the pyiqa package
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from birqa.evaluation.peers import load_callable, pyiqa_metric

Score = Callable[[NDArray[np.float32]], NDArray[np.generic]]
"""Pictures (B, 3, H, W) in [0, 1] -> scores (B,)."""


def score_of_pictures(spec: str, device: str = "cpu", *, turned: bool = False) -> Score:
    """The metric that `spec` names, its scores as it gives them; `turned`, where it is known that smaller is
    better, their negative.

    Raises ValueError for a spec that names none, ImportError where the package is missing.
    """
    kind, _, rest = spec.partition(":")
    if kind == "pyiqa":
        return _pyiqa(rest, device, turned)
    if kind != "python":
        raise ValueError(
            f"{spec!r} names no no-reference metric: use one of birqa's, pyiqa:name, or "
            "python:package.module:name of a function of pictures (B, 3, H, W) in [0, 1]."
        )
    function = load_callable(rest)
    tensors = False

    def score(pictures: NDArray[np.float32]) -> NDArray[np.generic]:
        nonlocal tensors
        try:
            given = _of_tensors(function, pictures) if tensors else function(pictures)
        except ValueError as error:
            # Many are written for torch alone, as training asks it.
            misfit = isinstance(error.__cause__, TypeError | AttributeError)
            if tensors or not misfit or importlib.util.find_spec("torch") is None:
                raise
            given = _of_tensors(function, pictures)
            tensors = True
        try:
            return np.asarray(given, np.float64).reshape(-1)
        except (TypeError, ValueError):
            raise ValueError(f"{spec} gave {given!r:.60}, where one number a picture is needed.") from None

    return score


def _of_tensors(function: Callable[[Any], Any], pictures: NDArray[np.float32]) -> Any:
    import torch

    with torch.no_grad():
        return function(torch.from_numpy(pictures))


def _pyiqa(name: str, device: str, turned: bool) -> Score:
    metric = pyiqa_metric(name, device=device)
    if getattr(metric, "metric_mode", "NR") != "NR":
        raise ValueError(f"pyiqa:{name} compares with a reference: give one with --ref.")
    import torch

    turn = np.negative if turned and metric.lower_better else np.asarray

    def score(pictures: NDArray[np.float32]) -> NDArray[np.generic]:
        with torch.no_grad():
            scores: NDArray[np.float32] = metric(torch.from_numpy(pictures).to(device)).cpu().numpy()
        return turn(scores.reshape(-1))

    return score
