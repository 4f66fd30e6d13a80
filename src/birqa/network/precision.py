"""Arithmetic that does not depend on what the caller has allowed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """float32 throughout what runs inside, also under the caller's autocast and on GPUs that would round to
    TF32. What autograd runs afterwards is outside.

    Local variances are small differences of large numbers: ten bits of mantissa would destroy them.
    """
    with torch.autocast(device.type, enabled=False):
        if device.type == "cuda":
            with without_tf32():
                yield
        else:
            yield


_lock = threading.Lock()
_inside = 0
_before: list[Any] = []


@contextmanager
def without_tf32() -> Iterator[None]:
    """Forbids it to the process while any thread is inside, and then leaves everything as it was."""
    global _inside
    with _lock:
        if not _inside:
            _before[:] = [getattr(where, name) for where, name, _ in _settings()]
            for where, name, exact in _settings():
                setattr(where, name, exact)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                for (where, name, _), value in zip(_settings(), _before, strict=True):
                    setattr(where, name, value)


def _settings() -> list[tuple[Any, str, Any]]:
    """Where it is allowed, by which name, and the value that forbids it."""
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    finer = getattr(convolutions, "conv", None)
    if hasattr(finer, "fp32_precision"):
        # Once a program has used these, PyTorch refuses to tell the older ones.
        return [(finer, "fp32_precision", "ieee"), (products, "fp32_precision", "ieee")]
    return [(convolutions, "allow_tf32", False), (products, "allow_tf32", False)]
