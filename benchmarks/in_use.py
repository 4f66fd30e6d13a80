"""Robust in use: degraded pictures restored by gradient on the metric alone.

    python benchmarks/in_use.py ../shared/data/refs384 birqa.kadid birqa.kadid-aat \
        --out benchmarks/results/in-use.json --picture docs/in-use.png

Adam on the samples of each degraded picture, nothing but 1 - score as loss. An optimiser that finds artefacts
raises the score while PSNR and VSI, which it does not see, fall; VIF is a third.
"""

import argparse
import csv
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw

from birqa.attacks.base import Metric
from birqa.attacks.subjects import load_subject
from birqa.data.distortions import blur, compression, noise
from birqa.engines.torch import to_tensor
from birqa.evaluation.peers import load_peer
from birqa.files import replacing
from birqa.images import load_image, to_float
from birqa.pairing import Pair

DEGRADATIONS = {
    "blur": lambda image: blur.gaussian_blur(image, sigma=1.5),
    "noise": lambda image: noise.white_noise(image, (15 / 255) ** 2, np.random.default_rng(0)),
    "JPEG 15": lambda image: compression.through_codec(image, "JPEG", quality=15),
    "upscaled": lambda image: np.clip(
        cv2.resize(
            cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            image.shape[1::-1],
            interpolation=cv2.INTER_CUBIC,
        ),
        0,
        1,
    ),
}
PEERS = {"psnr": "torchmetrics:psnr", "vsi": "piq:vsi", "vif": "piq:vif_p"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, help="folder with manifest.csv")
    parser.add_argument("metrics", nargs="+")
    parser.add_argument("--count", type=int, default=4, help="photographs of the test split")
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.002, help="Adam's step on samples in [0, 1]")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    args = parser.parse_args()
    with (args.photographs / "manifest.csv").open() as file:
        names = sorted(row["file"] for row in csv.DictReader(file) if row["split"] == "test")[: args.count]
    refs = [to_float(load_image(args.photographs / name))[: args.side, : args.side] for name in names]
    peers = {name: load_peer(spec).score for name, spec in PEERS.items()}
    rows, sheet = [], []
    for metric in args.metrics:
        subject = load_subject(metric)
        loss_of = next(iter(subject.surrogates.values()))
        for degradation, degrade in DEGRADATIONS.items():
            start = torch.cat([to_tensor(degrade(ref).astype(np.float32)) for ref in refs])
            ref = torch.cat([to_tensor(ref) for ref in refs])
            pictures = restore(loss_of, start, ref, args.steps, args.rate)
            row = {
                "metric": subject.name,
                "version": subject.version.split(" ")[0],
                "degradation": degradation,
            }
            for when, current in (("before", start), ("after", pictures)):
                saved = torch.round(current * 255) / 255
                with torch.no_grad():
                    row[f"score_{when}"] = float(subject.metric(saved, ref).mean())
                arrays = saved.permute(0, 2, 3, 1).numpy()
                for name, score in peers.items():
                    values = [
                        score(dist, original, Pair(Path(), Path()))
                        for dist, original in zip(arrays, refs, strict=True)
                    ]
                    row[f"{name}_{when}"] = float(np.mean(values))
            rows.append(row)
            print(json.dumps(row), flush=True)
            sheet.append((metric, degradation, refs[0], start[0], pictures[0]))
    record = {
        "photographs": names, "side": args.side, "steps": args.steps, "rate": args.rate, "rows": rows,
    }  # fmt: skip
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    with replacing(args.picture) as part:
        draw(sheet, args.side, args.metrics).save(part, format="PNG")


def restore(metric: Metric, start: torch.Tensor, ref: torch.Tensor, steps: int, rate: float) -> torch.Tensor:
    """What following the score alone makes of `start`."""
    pictures = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([pictures], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        (1 - metric(pictures, ref)).sum().backward()
        optimiser.step()
        with torch.no_grad():
            pictures.clamp_(0, 1)
    return pictures.detach()


def draw(sheet: list, side: int, metrics: list[str]) -> Image.Image:
    """A row for each degradation: the degraded picture, then what each metric made of it."""
    degradations = list(DEGRADATIONS)
    text = 16
    page = Image.new("RGB", ((1 + len(metrics)) * side, len(degradations) * (side + text)), "white")
    pen = ImageDraw.Draw(page)

    def put(picture: torch.Tensor, column: int, row: int, label: str) -> None:
        levels = torch.round(picture.permute(1, 2, 0) * 255).to(torch.uint8).numpy()
        top = row * (side + text)
        page.paste(Image.fromarray(levels), (column * side, top + text))
        pen.text((column * side + 4, top + 2), label, fill="black")

    for metric, degradation, _, start, end in sheet:
        row = degradations.index(degradation)
        put(start, 0, row, degradation)
        put(end, 1 + metrics.index(metric), row, f"restored by {metric}")
    return page


if __name__ == "__main__":
    main()
