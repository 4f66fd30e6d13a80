"""What a run leaves beside its checkpoint: configuration, environment, curves."""

import csv
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from birqa.files import replacing
from birqa.training.config import TrainingConfig

PACKAGES = ("birqa", "torch", "numpy", "pillow", "lightning-fabric")


def write_description(
    out: Path, config: TrainingConfig, device: str, processes: int, data: dict[str, Any] | None
) -> None:
    """config.json and environment.json; `data` says where the pairs are from."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed as a package"
    environment = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "processes": processes,
        "data": data,
        "versions": versions,
    }
    for name, record in (("config", config.to_dict()), ("environment", environment)):
        with replacing(out / f"{name}.json") as part:
            part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def write_curves(out: Path, log: list[dict[str, Any]]) -> None:
    """curves.csv with every log entry; curves.png with loss and validation against the step.

    Where a run measured Theorem 1, also bound.png with the largest error and its bound.
    """
    columns = list(dict.fromkeys(name for entry in log for name in entry))
    with replacing(out / "curves.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(log)

    from birqa.plots import new_figure, save_figure

    figure = new_figure(8, 4.5)
    losses = figure.add_subplot()
    losses.plot([entry["step"] for entry in log], [entry["loss"] for entry in log], color="tab:blue")
    losses.set_xlabel("step")
    losses.set_ylabel("training loss (5), mean since the last entry", color="tab:blue")
    losses.set_yscale("log")
    validated = [entry for entry in log if "srocc" in entry]
    if validated:
        correlations = losses.twinx()
        for name, style in (("srocc", "o-"), ("plcc", "s--")):
            correlations.plot(
                [entry["step"] for entry in validated],
                [entry[name] for entry in validated],
                style,
                color="tab:red",
                label=f"validation {name.upper()}",
            )
        correlations.set_ylabel("correlation with ratings", color="tab:red")
        correlations.legend(loc="center right")
    save_figure(figure, out / "curves.png", dpi=120)
    bounded = [entry for entry in log if "bound" in entry]
    if not bounded:
        return
    figure = new_figure(8, 4.5)
    axes = figure.add_subplot()
    for name, label, style in (
        ("bound", "bound: eps + eta + lambda R", "tab:red"),
        ("worst", "largest error of the batch", "tab:blue"),
        ("lambda", "lambda, the largest violation", "tab:grey"),
    ):
        axes.plot(
            [entry["step"] for entry in bounded], [entry[name] for entry in bounded], style, label=label
        )
    axes.set_xlabel("step")
    axes.set_ylabel("mean since the last entry, on the scale of scores")
    axes.set_ylim(bottom=0)
    axes.legend()
    save_figure(figure, out / "bound.png", dpi=120)
