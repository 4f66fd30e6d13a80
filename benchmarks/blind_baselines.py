"""What BRISQUE and NIQE reach on LIVE In the Wild, on the ten splits that our own blind metric is judged on.

    pip install scikit-learn && pip install --no-deps piq
    python benchmarks/blind_baselines.py ../shared/data/clive ../shared/data/refs384 \
        --out benchmarks/results/blind-baselines.json

BRISQUE (Mittal, Moorthy and Bovik, IEEE TIP 2012): 36 natural-scene statistics and an RBF support-vector
regression, trained anew on the training part of each split with the settings of the authors' release.
NIQE (Mittal, Soundararajan and Bovik, IEEE SPL 2013): the distance between two Gaussians, one of the
statistics of a picture's 96x96 blocks, one of those of the sharp blocks of pristine photographs; no rating is
used. The pristine model is fitted here. --published adds the authors' own, which does not travel with this
project: modelparameters.mat of their release, or the same mean and covariance as .npz, which BasicSR carries.
"""

import argparse
import csv
import hashlib
import importlib
import json
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat
from scipy.linalg import pinv
from torch import Tensor
from torch.nn import functional

from birqa.blind.splits import eighty_twenty
from birqa.evaluation import peers
from birqa.evaluation.correlation import correlate
from birqa.evaluation.logistic import fit_logistic
from birqa.files import replacing
from birqa.images import load_image, to_float

SPLITS = 10
SAME_PICTURE = [("246", "333")]
BLOCK = 96
SHARP = 0.75
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
Gaussian = tuple[np.ndarray, np.ndarray]

peers._import_piq()
brisque = importlib.import_module("piq.brisque")


def grey(path: Path) -> Tensor:
    """MATLAB's rgb2gray of 8-bit samples: (1, 1, H, W), whole numbers in 0..255."""
    image = to_float(load_image(path)).astype(np.float64) * 255
    return torch.from_numpy(np.rint(image @ [0.2989, 0.5870, 0.1140]))[None, None]


def half(image: Tensor) -> Tensor:
    """MATLAB's imresize by a half: bicubic, antialiased, odd sides rounded up."""
    return brisque.imresize(image, scale=0.5)


def brisque_features(image: Tensor) -> np.ndarray:
    """(36,): generalised Gaussians of normalised samples and of four neighbour products, at two scales."""
    return torch.cat([brisque._natural_scene_statistics(x)[0] for x in (image, half(image))]).numpy()


def niqe_features(image: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(B, 36) statistics and (B,) sharpness of the 96x96 blocks; flat blocks have none and are left out."""
    rows, columns = (side // BLOCK for side in image.shape[-2:])
    image = image[..., : rows * BLOCK, : columns * BLOCK]
    window = brisque.gaussian_filter(7, 7 / 6, dtype=image.dtype)[None]
    maps, sharpness = [], None
    for scale in (1, 2):
        padded = functional.pad(image, (3, 3, 3, 3), mode="replicate")
        mean = functional.conv2d(padded, window)
        deviation = (functional.conv2d(padded**2, window) - mean**2).abs().sqrt()
        blocks = cut((image - mean) / (deviation + 1), BLOCK // scale)
        maps += [blocks, *(blocks * blocks.roll(shift, (-2, -1)) for shift in SHIFTS)]
        if sharpness is None:
            sharpness = cut(deviation, BLOCK).mean((1, 2, 3))
            image = half(image)
    lively = torch.stack([(x.amin((1, 2, 3)) < 0) & (x.amax((1, 2, 3)) > 0) for x in maps]).all(0)
    columns = []
    for index, x in enumerate(maps):
        alpha, left, right = brisque._aggd_parameters(x[lively])
        lgamma = [torch.lgamma(order / alpha) for order in (1, 2, 3)]
        left, right = (side * torch.exp((lgamma[0] - lgamma[2]) / 2) for side in (left, right))
        if index % 5 == 0:
            columns += [alpha, (left + right) / 2]
        else:
            columns += [alpha, (right - left) * torch.exp(lgamma[1] - lgamma[0]), left, right]
    return torch.stack(columns, 1).numpy(), sharpness[lively].numpy()


def cut(image: Tensor, size: int) -> Tensor:
    """(1, 1, H, W) into (B, 1, size, size)."""
    return functional.unfold(image, size, stride=size)[0].T.reshape(-1, 1, size, size)


def gaussian_of(features: np.ndarray) -> Gaussian:
    return features.mean(0), np.cov(features, rowvar=False)


def fit_pristine(paths: list[Path]) -> Gaussian:
    kept = []
    for path in paths:
        features, sharpness = niqe_features(grey(path))
        kept.append(features[sharpness > SHARP * sharpness.max()])
    return gaussian_of(np.concatenate(kept))


def read_pristine(path: Path) -> Gaussian:
    arrays = np.load(path) if path.suffix == ".npz" else loadmat(path)
    by_shape = {value.shape: value for value in arrays.values() if isinstance(value, np.ndarray)}
    if not {(1, 36), (36, 36)} <= set(by_shape):
        raise SystemExit(f"{path} holds no mean (1, 36) and covariance (36, 36).")
    return by_shape[1, 36][0], by_shape[36, 36]


def naturalness(features: np.ndarray, pristine: Gaussian) -> float:
    """Minus NIQE: larger is better."""
    mean, covariance = gaussian_of(features)
    gap = mean - pristine[0]
    return -float(np.sqrt(gap @ pinv((covariance + pristine[1]) / 2) @ gap))


def support_vectors() -> Callable[[], object]:
    """The regression of the authors' release: svm-train -s 3 -g 0.05 -c 1024, features scaled to [-1, 1]."""
    try:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import MinMaxScaler
        from sklearn.svm import SVR
    except ImportError:
        raise SystemExit("BRISQUE's regression needs scikit-learn: pip install scikit-learn.") from None
    return lambda: make_pipeline(MinMaxScaler((-1, 1)), SVR(C=1024, gamma=0.05, epsilon=0.1))


def judge(scores: np.ndarray, mos: np.ndarray) -> dict[str, float]:
    found = correlate(scores, mos)
    fitted = correlate(fit_logistic(scores, mos)(scores), mos)
    return {"srocc": found.srocc, "plcc": found.plcc, "plcc_fitted": fitted.plcc}


def summary(metric: str, what: str, seconds: float, rows: list[dict[str, float]]) -> dict[str, object]:
    kinds = {"median": statistics.median, "min": min, "max": max}
    return {
        "metric": metric,
        "what": what,
        "cpu_seconds_per_picture": seconds,
        **{
            kind: {key: of([row[key] for row in rows]) for key in ("srocc", "plcc", "plcc_fitted")}
            for kind, of in kinds.items()
        },
        "splits": [{"seed": seed} | row for seed, row in enumerate(rows)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rated", type=Path, help="folder with clive_mos.csv")
    parser.add_argument("pristine", type=Path, help="folder with manifest.csv (file,split)")
    parser.add_argument("--published", type=Path, help="NIQE's pristine model as its authors released it")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    regression = support_vectors()
    torch.set_num_threads(1)
    with (args.rated / "clive_mos.csv").open(newline="", encoding="utf-8") as file:
        rated = [row for row in csv.DictReader(file) if row["is_training_image"] == "0"]
    names = [Path(row["file"]).stem for row in rated]
    mos = np.array([float(row["mos"]) for row in rated])
    with (args.pristine / "manifest.csv").open(newline="", encoding="utf-8") as file:
        sharp = sorted(row["file"] for row in csv.DictReader(file) if row["split"] == "train")
    fitted = fit_pristine([args.pristine / name for name in sharp])

    statistics_of: dict[str, list[np.ndarray]] = {"brisque": [], "niqe": []}
    seconds: dict[str, list[float]] = {"brisque": [], "niqe": []}
    for index, row in enumerate(rated, start=1):
        image = grey(args.rated / row["file"])
        for metric, of in (("brisque", brisque_features), ("niqe", lambda x: niqe_features(x)[0])):
            # Processor time, because other work may share the machine.
            start = time.process_time()
            statistics_of[metric].append(of(image))
            seconds[metric].append(time.process_time() - start)
        if index % 200 == 0:
            print(f"{index} of {len(rated)} pictures", flush=True)
    features = np.stack(statistics_of["brisque"])

    splits = [eighty_twenty(names, seed, SAME_PICTURE) for seed in range(SPLITS)]
    learned = []
    for train, test in splits:
        model = regression().fit(features[train], mos[train])
        learned.append(judge(model.predict(features[test]), mos[test]))
    metrics = [
        summary(
            "BRISQUE",
            "retrained on the training part of each split",
            statistics.median(seconds["brisque"]),
            learned,
        )
    ]
    pristine = {f"pristine model fitted on {len(sharp)} photographs of {args.pristine.name}": fitted}
    if args.published:
        digest = hashlib.sha256(args.published.read_bytes()).hexdigest()
        pristine[f"pristine model as published, {args.published.name}, sha256 {digest}"] = read_pristine(
            args.published
        )
    for what, gaussian in pristine.items():
        scores = np.array([naturalness(blocks, gaussian) for blocks in statistics_of["niqe"]])
        rows = [judge(scores[test], mos[test]) for _, test in splits]
        record = summary("NIQE", what, statistics.median(seconds["niqe"]), rows)
        metrics.append(record | {"all_pictures": judge(scores, mos)})

    record = {
        "command": shlex.join(["python", *sys.argv]),
        "data": "LIVE In the Wild (Ghadiyaram and Bovik, IEEE TIP 2016), without its seven training pictures",
        "pictures": len(rated),
        "same_picture": SAME_PICTURE,
        "correlations": "scores, larger is better, with the mean opinion scores of the test part; plcc: "
        "scores as they are; plcc_fitted: after a four-parameter logistic fitted on the test part",
        "time": "median processor time of the features of one decoded picture, one thread",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "scikit-learn", "torch", "piq")},
        },
        "splits": [
            {
                "seed": seed,
                "test_pictures": len(test),
                # Of the names without folder and ending, sorted as text, one a line.
                "test_sha256": hashlib.sha256(
                    "\n".join(sorted(names[place] for place in test)).encode()
                ).hexdigest(),
            }
            for seed, (_, test) in enumerate(splits)
        ],
        "metrics": metrics,
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{'metric':<10} {'SROCC':>6} {'min':>6} {'max':>6} {'PLCC':>6} {'fitted':>6} {'CPU s':>6}")
    for one in metrics:
        figures = (
            one["median"]["srocc"],
            one["min"]["srocc"],
            one["max"]["srocc"],
            one["median"]["plcc"],
            one["median"]["plcc_fitted"],
            one["cpu_seconds_per_picture"],
        )
        print(f"{one['metric']:<10} " + " ".join(f"{figure:6.3f}" for figure in figures), one["what"][:48])


if __name__ == "__main__":
    main()
