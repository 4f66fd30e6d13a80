"""Matrices from MATLAB files."""

from pathlib import Path
from typing import Any

import numpy as np


def read_matrices(path: Path, *names: str) -> list[np.ndarray]:
    """Each variable as a flat array; raises ValueError where one is missing or the file cannot be read."""
    import scipy.io

    try:
        variables: dict[str, Any] = scipy.io.loadmat(path)
    # Of damaged files it raises what it happens to stumble over.
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a MATLAB file ({error}).") from None
    missing = [name for name in names if name not in variables]
    if missing:
        raise ValueError(f"{path} lacks the variable {missing[0]}.")
    return [np.asarray(variables[name]).ravel() for name in names]


def cell_text(cell: Any) -> str:
    """The text in a cell array's cell, however deep loadmat has wrapped it."""
    while isinstance(cell, np.ndarray):
        cell = cell.ravel()[0]
    return str(cell)
