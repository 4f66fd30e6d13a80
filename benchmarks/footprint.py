"""Installed size and cold start of the core, and the size of what LPIPS and pyiqa cannot do without.

    make demo && python benchmarks/footprint.py .venv-demo --out benchmarks/results/footprint.json

LPIPS and pyiqa both require torch and torchvision; the torch of this environment (a CPU build) is a lower
bound of what either installs.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLE = ["examples/ref/bikes.webp", "examples/dist/bikes_jpeg_q10.jpg"]
NOT_OURS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")


def megabytes(folder: Path, leave_out: tuple[str, ...] = ()) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    kept = (path for path in files if not path.relative_to(folder).parts[0].startswith(leave_out or ("\0",)))
    return sum(path.stat().st_size for path in kept) / 1e6


def seconds(command: list[str], rounds: int) -> float:
    """Median wall time of a fresh process, after one warm-up."""
    values = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        values.append(time.perf_counter() - start)
    return statistics.median(values[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("environment", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    python = options.environment / "bin" / "python"
    packages = next(options.environment.glob("lib/python*/site-packages"))
    bare = seconds([str(python), "-c", "pass"], options.rounds)
    torch = importlib.util.find_spec("torch")
    record = {
        "core_installed_mb": megabytes(packages, NOT_OURS),
        "import_birqa_s": seconds([str(python), "-c", "import birqa"], options.rounds) - bare,
        "first_score_s": seconds(
            [str(options.environment / "bin" / "birqa"), "score", *EXAMPLE], options.rounds
        ),
        "torch_installed_mb": megabytes(Path(torch.origin).parent) if torch and torch.origin else None,
        "import_torch_s": seconds([sys.executable, "-c", "import torch"], 3),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
