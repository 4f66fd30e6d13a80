"""Does the score fall, step by step, where quality falls, on what no rated database covers?

Series of pictures in which one damage grows from step to step: codecs near transparency in steps finer than
KADID-10k's, upscaling, two distortions at once, noise on dark pictures, text and screens. Nobody has rated
them; what is measured is the order within each series.

    python benchmarks/outside.py ../shared/data/refs384 --out benchmarks/results/outside.json
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pillow_jxl  # noqa: F401 - teaches Pillow to write JPEG XL
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import spearmanr

import birqa
from birqa.data.distortions import blur, compression, noise
from birqa.evaluation.scoring import score_all_by_peers
from birqa.files import replacing
from birqa.pairing import Pair

Step = Callable[[np.ndarray], np.ndarray]
PEERS = ("torchmetrics:ssim", "piq:mdsi", "piq:vsi")


def upscaled(image: np.ndarray, factor: float) -> np.ndarray:
    height, width = image.shape[:2]
    small = cv2.resize(image, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def noisy(image: np.ndarray, level: float) -> np.ndarray:
    return noise.white_noise(image, (level / 255) ** 2, np.random.default_rng(0))


def codec(name: str, quality: int) -> Step:
    return lambda image: compression.through_codec(image, name, quality=quality)


def then(first: Step, second: Step) -> Step:
    return lambda image: second(first(image))


FINE = (97, 94, 91, 88, 85, 80, 75, 70)
PHOTOGRAPHS: dict[str, list[Step]] = {
    "JPEG, quality 97 to 70": [codec("JPEG", quality) for quality in FINE],
    "WebP, quality 97 to 70": [codec("WEBP", quality) for quality in FINE],
    "AVIF, quality 90 to 50": [codec("AVIF", quality) for quality in (90, 85, 80, 75, 70, 65, 60, 50)],
    "JPEG XL, quality 97 to 70": [codec("JXL", quality) for quality in FINE],
    "JPEG 2000, ratio 4 to 20": [
        partial(compression.jpeg2000, ratio=ratio) for ratio in (4, 5, 6, 8, 10, 12, 16, 20)
    ],
    "upscaled, 1.25 to 4 times": [partial(upscaled, factor=factor) for factor in (1.25, 1.5, 2, 2.5, 3, 4)],
    "blur 0.4 to 2.5, then JPEG 60": [
        then(partial(blur.gaussian_blur, sigma=sigma), codec("JPEG", 60))
        for sigma in (0.4, 0.6, 0.8, 1.2, 1.8, 2.5)
    ],
    "blur 1, then noise 5 to 25": [
        then(partial(blur.gaussian_blur, sigma=1), partial(noisy, level=level))
        for level in (5, 8, 11, 15, 20, 25)
    ],
    "JPEG 40, then noise 3 to 20": [
        then(codec("JPEG", 40), partial(noisy, level=level)) for level in (3, 5, 8, 11, 15, 20)
    ],
}
DARK = {"noise 1 to 12 on pictures at a sixth of their brightness": [1, 2, 3, 5, 8, 12]}
SCREENS: dict[str, list[Step]] = {
    "text: JPEG, quality 95 to 20": [codec("JPEG", quality) for quality in (95, 85, 70, 55, 40, 20)],
    "text: blur 0.3 to 2": [partial(blur.gaussian_blur, sigma=sigma) for sigma in (0.3, 0.5, 0.7, 1, 1.4, 2)],
    "text: upscaled, 1.25 to 3 times": [
        partial(upscaled, factor=factor) for factor in (1.25, 1.5, 2, 2.5, 3)
    ],
    "text: noise 2 to 30": [partial(noisy, level=level) for level in (2, 5, 10, 15, 20, 30)],
}


def screens(count: int, side: int = 384) -> list[np.ndarray]:
    """Windows with menus and lines of words, dark or light, drawn here."""
    words = Path(__file__).read_text(encoding="utf-8").split()
    pages = []
    for index in range(count):
        rng = np.random.default_rng(index)
        light = index % 2 == 0
        page = Image.new("RGB", (side, side), (250, 250, 248) if light else (30, 32, 38))
        draw = ImageDraw.Draw(page)
        draw.rectangle((0, 0, side, 26), fill=tuple(map(int, rng.integers(40, 200, 3))))
        draw.rectangle((0, 26, 80, side), fill=(225, 228, 232) if light else (46, 49, 58))
        y = 34
        while y < side - 20:
            size = int(rng.choice([10, 12, 14, 18]))
            colour = tuple(map(int, rng.integers(0, 90, 3) if light else rng.integers(170, 256, 3)))
            line = " ".join(rng.choice(words, 9))
            draw.text((90, y), line, fill=colour, font=ImageFont.load_default(size))
            draw.text((6, y), str(rng.choice(words))[:10], fill=colour, font=ImageFont.load_default(11))
            y += size + 6
        pages.append(np.asarray(page, np.float32) / np.float32(255))
    return pages


def write(image: np.ndarray, path: Path) -> Path:
    Image.fromarray(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)).save(path, compress_level=1)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, help="folder with manifest.csv (file,split)")
    parser.add_argument("--count", type=int, default=12, help="pictures a series")
    parser.add_argument("--metric", action="append", default=[], help="model folder beside the shipped ones")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with (args.photographs / "manifest.csv").open(newline="", encoding="utf-8") as file:
        names = sorted(row["file"] for row in csv.DictReader(file) if row["split"] == "test")[: args.count]
    photographs = [
        np.asarray(Image.open(args.photographs / name).convert("RGB"), np.float32) / np.float32(255)
        for name in names
    ]
    dark = [image / 6 for image in photographs]
    plan: list[tuple[str, list[np.ndarray], list[Step]]] = [
        *((title, photographs, steps) for title, steps in PHOTOGRAPHS.items()),
        *((title, dark, [partial(noisy, level=level) for level in levels]) for title, levels in DARK.items()),
        *((title, screens(args.count), steps) for title, steps in SCREENS.items()),
    ]
    metric = birqa.create_metric("birqa")
    others = [name for name in birqa.list_metrics("full-reference") if name != metric.info.name]
    peers = (*others, *args.metric, *PEERS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pairs, places = [], []
        for series, (title, pictures, steps) in enumerate(plan):
            for number, picture in enumerate(pictures):
                ref = write(picture, Path(folder) / f"{series}_{number}.png")
                # The steps start from what the file holds.
                start = np.asarray(Image.open(ref), np.float32) / np.float32(255)
                for index, step in enumerate(steps):
                    dist = write(step(start), Path(folder) / f"{series}_{number}_{index}.png")
                    pairs.append(Pair(ref, dist))
                    places.append((title, number))
        table = score_all_by_peers(pairs, peers, Path(folder) / "peers.jsonl", args.workers)
        ours = np.array([metric(pair.dist, pair.ref)[0] for pair in pairs])
    columns = {metric.info.name: ours, **dict(zip(peers, table.T, strict=True))}
    for title, pictures, steps in plan:
        for name, scores in columns.items():
            runs = [
                scores[[at for at, place in enumerate(places) if place == (title, number)]]
                for number in range(len(pictures))
            ]
            rows.append(
                {
                    "series": title,
                    "metric": name,
                    "pictures": len(runs),
                    "steps": len(steps),
                    "falling_steps": float(np.mean([np.mean(np.diff(run) < 0) for run in runs])),
                    "srocc": float(np.mean([-spearmanr(run, range(len(run))).statistic for run in runs])),
                    "first": float(np.mean([run[0] for run in runs])),
                    "last": float(np.mean([run[-1] for run in runs])),
                }
            )
    record = {"metric": metric.info.name, "version": metric.info.version, "rows": rows}
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['series']:<55} {row['metric']:<20} {row['falling_steps']:.3f} {row['srocc']:.3f}")


if __name__ == "__main__":
    main()
