"""birqa export: a metric as two self-contained ONNX graphs."""

from pathlib import Path
from typing import Annotated

import typer

from birqa.cli import options


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the graphs.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Write ONNX (the one format there is).")] = True,
    metric: options.Metric = "birqa",
) -> None:
    """Write features.onnx and network.onnx with the weights inside, for other programs and languages."""
    from birqa.metric import require_torch
    from birqa.registry import find_model

    require_torch()
    from birqa.export import export_onnx

    for path in export_onnx(find_model(metric), out):
        print(path)
