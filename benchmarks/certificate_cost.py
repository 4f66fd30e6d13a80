"""Seconds and memory of one certificate, `birqa certify` as a whole process on every core.

python benchmarks/certificate_cost.py PICTURE --out benchmarks/results/certificate-cost.json
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from birqa.files import replacing
from birqa.images import load_image


def measure(arguments: list[str]) -> tuple[float, float]:
    """Wall seconds, and the peak of resident memory in MB, of one run of birqa."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "birqa", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"birqa {' '.join(arguments)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    height, width = load_image(options.picture).shape[:2]
    rows = []
    for denoiser in ("denoiser.blind", "none"):
        common = ["--denoiser", denoiser, "--sigma", "0.12", "--radius", "0.05", "--threads", options.threads]
        arguments = ["certify", options.picture, *common, "--samples", options.samples]
        runs = [measure([str(argument) for argument in arguments]) for _ in range(options.rounds)]
        seconds = statistics.median(run[0] for run in runs)
        rows.append(
            {
                "denoiser": denoiser,
                "seconds": seconds,
                "all_seconds": [run[0] for run in runs],
                "passes_per_second": options.samples / seconds,
                "memory_mb": max(run[1] for run in runs),
            }
        )
        print(rows[-1], file=sys.stderr)
    record = {
        "command": "python benchmarks/certificate_cost.py " + " ".join(sys.argv[1:]),
        "size": f"{width}x{height}",
        "samples": options.samples,
        "rounds": options.rounds,
        "threads": options.threads,
        "processor": platform.processor() or platform.machine(),
        "rows": rows,
    }
    with replacing(options.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
