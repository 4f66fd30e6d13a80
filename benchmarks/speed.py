"""Time and peak memory of one pair, birqa beside its peers, interleaved in one run.

    python benchmarks/speed.py [--threads 2] [--rounds 7] [--out FILE]

Each round gives every metric its turn: a rest, one pair by itself, then some in a row, as a folder is scored.
The first finds threads asleep, caches cold and the clock low, which a short score feels more than a long one.
LPIPS's own package needs torchvision, so its AlexNet layers stand here with random weights: the arithmetic
of LPIPS-AlexNet without its accuracy. Memory is the peak of a fresh process that scores one pair.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIZES = {"512x384": (384, 512), "1920x1080": (1080, 1920), "3840x2160": (2160, 3840)}
TIMED = ("512x384", "1920x1080")
PEER = "LPIPS-AlexNet (torch)"
DEFAULT = "birqa (onnx)"
IN_A_ROW = 5
Score = Callable[[np.ndarray, np.ndarray], object]


def birqa_onnx(threads: int) -> Score:
    import birqa

    return birqa.create_metric("birqa", engine="onnx", threads=threads)


def lite_onnx(threads: int) -> Score:
    import birqa

    return birqa.create_metric("birqa.lite", engine="onnx", threads=threads)


def birqa_torch(threads: int) -> Score:
    import birqa

    return birqa.create_metric("birqa", engine="torch", threads=threads)


def tensors(threads: int, metric: Callable[..., object]) -> Score:
    import torch

    torch.set_num_threads(threads)

    def score(dist: np.ndarray, ref: np.ndarray) -> object:
        pair = [torch.from_numpy(x).permute(2, 0, 1)[None].float() / 255 for x in (dist, ref)]
        with torch.no_grad():
            return metric(*pair)

    return score


def lpips_alexnet(threads: int) -> Score:
    """Zhang et al., CVPR 2018: features of five stages, unit-normalised, squared difference, 1x1, mean."""
    import torch
    from torch import nn

    relu, pool = nn.ReLU(), nn.MaxPool2d(3, 2)
    stages = nn.ModuleList(
        [
            nn.Sequential(nn.Conv2d(3, 64, 11, 4, 2), relu),
            nn.Sequential(pool, nn.Conv2d(64, 192, 5, padding=2), relu),
            nn.Sequential(pool, nn.Conv2d(192, 384, 3, padding=1), relu),
            nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), relu),
            nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), relu),
        ]
    )
    weights = nn.ModuleList(nn.Conv2d(c, 1, 1, bias=False) for c in (64, 192, 384, 256, 256))

    def unit(features: torch.Tensor) -> torch.Tensor:
        return features / (features.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)

    def metric(dist: torch.Tensor, ref: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(())
        dist, ref = 2 * dist - 1, 2 * ref - 1
        for stage, weight in zip(stages, weights, strict=True):
            dist, ref = stage(dist), stage(ref)
            total = total + weight((unit(dist) - unit(ref)).pow(2)).mean()
        return total

    return tensors(threads, metric)


def ssim(threads: int) -> Score:
    from torchmetrics.functional.image import structural_similarity_index_measure as metric

    return tensors(threads, lambda dist, ref: metric(dist, ref, data_range=1.0))


def ms_ssim(threads: int) -> Score:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as metric

    return tensors(threads, lambda dist, ref: metric(dist, ref, data_range=1.0))


METRICS: dict[str, Callable[[int], Score]] = {
    DEFAULT: birqa_onnx,
    "birqa.lite (onnx)": lite_onnx,
    "birqa (torch)": birqa_torch,
    PEER: lpips_alexnet,
    "SSIM (torchmetrics)": ssim,
    "MS-SSIM (torchmetrics)": ms_ssim,
}


def pair(size: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    height, width = SIZES[size]
    ref = rng.integers(0, 256, (height, width, 3), np.uint8)
    return np.clip(ref + rng.normal(0, 8, ref.shape), 0, 255).astype(np.uint8), ref


def taken(score: Score, dist: np.ndarray, ref: np.ndarray) -> float:
    start = time.perf_counter()
    score(dist, ref)
    return time.perf_counter() - start


def time_all(threads: int, rounds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    scorers = {name: make(threads) for name, make in METRICS.items()}
    for size in TIMED:
        dist, ref = pair(size)
        after_rest: dict[str, list[float]] = {name: [] for name in scorers}
        seconds: dict[str, list[float]] = {name: [] for name in scorers}
        for round_number in range(rounds + 1):
            for name, score in scorers.items():
                # Threads of the last metric may still spin for a moment.
                time.sleep(0.2)
                first, *others = [taken(score, dist, ref) for _ in range(1 + IN_A_ROW)]
                # The first round warms up.
                if round_number:
                    after_rest[name].append(first)
                    seconds[name].append(statistics.mean(others))
        for name, values in seconds.items():
            ratios = {
                peer: statistics.median(own / other for own, other in zip(values, seconds[peer], strict=True))
                for peer in (PEER, DEFAULT)
            }
            rows.append(
                {
                    "size": size,
                    "metric": name,
                    "median_s": statistics.median(values),
                    "min_s": min(values),
                    "after_rest_s": statistics.median(after_rest[name]),
                    "ratio_to_lpips": ratios[PEER],
                    "ratio_to_birqa": ratios[DEFAULT],
                }
            )
    return rows


def high_water_megabytes() -> float:
    """Of this process; `ru_maxrss` would also count what the parent held when it forked."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def peak_megabytes(name: str, size: str, threads: int) -> float | None:
    command = [sys.executable, __file__, "--threads", str(threads), "--memory", name, size]
    result = subprocess.run(command, capture_output=True, text=True)
    return float(result.stdout) if result.returncode == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="Also write the figures to this JSON file.")
    parser.add_argument("--memory", nargs=2, metavar=("METRIC", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        name, size = options.memory
        METRICS[name](options.threads)(*pair(size))
        print(high_water_megabytes())
        return

    times = time_all(options.threads, options.rounds)
    memory = {
        (name, size): peak_megabytes(name, size, options.threads)
        for name in (DEFAULT, PEER)
        for size in SIZES
    }
    if options.out:
        peaks = [{"metric": name, "size": size, "peak_mb": peak} for (name, size), peak in memory.items()]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(
            json.dumps({"threads": options.threads, "times": times, "memory": peaks}, indent=1) + "\n"
        )
    for row in times:
        print(
            f"{row['size']:>10}  {row['metric']:<24} median {row['median_s']:7.3f} s  "
            f"after a rest {row['after_rest_s']:7.3f} s  {row['ratio_to_lpips']:5.2f} x LPIPS"
        )
    for (name, size), peak in memory.items():
        print(f"{size:>10}  {name:<24} peak {'failed' if peak is None else f'{peak:.0f} MB'}")


if __name__ == "__main__":
    main()
