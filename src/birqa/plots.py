"""Diagrams as PNG, without a display and without touching the caller's pyplot. Needs matplotlib."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from birqa.files import replacing


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, dpi: int) -> None:
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=dpi)
