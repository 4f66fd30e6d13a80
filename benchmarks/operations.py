"""Multiply-adds and bytes written per picture pixel, part by part: the cost before it is timed.

python benchmarks/operations.py [--widths 32,64,128,192]
"""

import argparse
from collections import defaultdict

import torch
from torch import nn

from birqa.network.birqa import BiRQA
from birqa.network.config import BiRQAConfig

SIDE = 512


def count(config: BiRQAConfig) -> dict[str, tuple[float, float, int]]:
    """part -> (multiply-adds per pixel, bytes written per pixel, parameters) of the network's layers."""
    module = BiRQA(config).eval()
    parts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0])
    pixels = SIDE * SIDE

    def watch(name: str, layer: nn.Module) -> None:
        part = ".".join(name.split(".")[:2])
        parts[part][2] += sum(value.numel() for value in layer.parameters(recurse=False))

        def record(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            per_output = layer.weight[0].numel()  # type: ignore[union-attr,operator]
            parts[part][0] += output.numel() * per_output / pixels
            parts[part][1] += output.numel() * 4 / pixels

        layer.register_forward_hook(record)

    for name, layer in module.network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            watch(name, layer)
    picture = torch.rand(2, 1, 3, SIDE, SIDE)
    with torch.no_grad():
        module(picture[0], picture[1])
    return {part: (macs, written, int(parameters)) for part, (macs, written, parameters) in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--widths", default=",".join(map(str, BiRQAConfig().widths)))
    widths = tuple(int(width) for width in parser.parse_args().widths.split(","))
    counted = count(BiRQAConfig(widths=widths, blocks=(1,) * len(widths)))
    print("| part | multiply-adds / pixel | bytes written / pixel | parameters |")
    print("|---|---:|---:|---:|")
    for part, (macs, written, parameters) in sorted(counted.items()):
        print(f"| {part} | {macs:.0f} | {written:.1f} | {parameters:,} |")
    macs, written, parameters = (sum(column) for column in zip(*counted.values(), strict=True))
    print(f"| **all** | **{macs:.0f}** | **{written:.1f}** | **{parameters:,}** |")


if __name__ == "__main__":
    main()
