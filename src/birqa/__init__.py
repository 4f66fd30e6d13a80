"""Image-quality scores that people agree with.

>>> import birqa
>>> metric = birqa.create_metric("birqa")
>>> metric("distorted.png", "reference.png")      # array([0.83], dtype=float32), 1.0 is identical
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.7.0"

if TYPE_CHECKING:
    from birqa.images import ImageError, load_image
    from birqa.loss import BiRQALoss
    from birqa.metric import (
        FullReferenceMetric,
        NoReferenceMetric,
        ScoreExplanation,
        create_metric,
        list_metrics,
    )

# Loaded when first used, so that `import birqa` stays quick and needs no torch.
_HOMES = {
    "BiRQALoss": "birqa.loss",
    "FullReferenceMetric": "birqa.metric",
    "NoReferenceMetric": "birqa.metric",
    "ImageError": "birqa.images",
    "ScoreExplanation": "birqa.metric",
    "create_metric": "birqa.metric",
    "list_metrics": "birqa.metric",
    "load_image": "birqa.images",
}

__all__ = [
    "BiRQALoss",
    "FullReferenceMetric",
    "ImageError",
    "NoReferenceMetric",
    "ScoreExplanation",
    "__version__",
    "create_metric",
    "list_metrics",
    "load_image",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'birqa' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
