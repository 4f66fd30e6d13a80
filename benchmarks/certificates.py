"""Ways to certify a blind score, side by side.

MS: median smoothing of the metric alone. DMS: behind a denoiser trained by squared error. DMS+rank: behind
one trained by order and score as well. Classes: quantised classification smoothing of the metric alone, the
earlier method. All these with one metric, made for pictures as they are; `fitted`: with one that is fitted to
noisy pictures, alone (MS) or as the denoiser leaves them (DMS+rank), and to damaged ones as well (damage).
Accuracy: the smoothed score of whole test pictures against ratings. Width: the certified interval at each
radius, on the middle of some test pictures, and how the method's scores spread.

    python benchmarks/certificates.py build/sets/clive.csv --mse runs/denoiser.mse-2/model \
        --fitted runs/blind.clive-noise/model --cache runs/certificates.jsonl --out FILE
"""

import argparse
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from birqa.certify.classification import Classification, classify
from birqa.certify.noise import Noise
from birqa.certify.smoothed import score_draws
from birqa.certify.smoothing import find_ranks, quantile_score
from birqa.certify.subject import CERTIFIED, Subject, create_subject
from birqa.evaluation.agreement import bootstrap_interval, spearman, study_agreement
from birqa.files import KeptResults, replacing
from birqa.images import load_image
from birqa.ratings import RatedPicture, read_rated_pictures
from birqa.workers import start_workers

RADII = (0.05, 0.1, 0.25, 0.5, 1.0)
ALPHA = 0.001
RESAMPLES = 1000
PAPERS = ("DMS+rank", "DMS", "MS", "classes")
DAMAGED = "DMS+rank fitted, damage"
AHEAD = {"DMS+rank fitted": (DAMAGED, "MS fitted", *PAPERS, "clean"), PAPERS[0]: PAPERS[1:]}
"""Methods that others are compared with: the one that is shipped, and the best of the papers'."""


@dataclass(frozen=True)
class Task:
    """Draws 0..count of one picture; with `crop` only its middle. sigma 0: the score of the clean picture."""

    method: tuple[str, str]
    """Metric and denoiser."""
    sigma: float
    image: str
    crop: int
    count: int

    @property
    def key(self) -> str:
        return json.dumps([*identity(self.method), self.sigma, self.image, self.crop, self.count])


@cache
def _subject(method: tuple[str, str]) -> Subject:
    return create_subject(*method, threads=1)


@cache
def identity(method: tuple[str, str]) -> tuple[str, str]:
    subject = _subject(method)
    return str(subject.metric.sha256)[:12], str(subject.denoiser.sha256)[:12] if subject.denoiser else ""


def middle(picture: np.ndarray, side: int) -> np.ndarray:
    if not side:
        return picture
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def work(task: Task) -> list[float]:
    picture = middle(load_image(task.image), task.crop)
    subject = _subject(task.method)
    if not task.sigma:
        planes = picture.transpose(2, 0, 1)[None].astype(np.float32) / 255
        return [float(subject.score(planes)[0])]
    # One seed for all: methods meet the same noise.
    noise = Noise("discrete", task.sigma, seed=2026)
    scores = score_draws(
        subject.score,
        picture,
        noise,
        range(task.count),
        memory=2**27,
        bytes_per_pixel=subject.bytes_per_pixel,
    )
    return [round(float(score), 6) for score in scores]


def run(tasks: list[Task], kept: KeptResults[list[float]], workers: int) -> dict[Task, np.ndarray]:
    todo = [task for task in dict.fromkeys(tasks) if task.key not in kept.kept]
    with start_workers(workers, nothing_to_prepare) as pool:
        for done, (task, scores) in enumerate(zip(todo, pool.map(work, todo), strict=True), 1):
            kept.add({task.key: scores})
            print(f"{done} of {len(todo)}", file=sys.stderr, end="\r" if done < len(todo) else "\n")
    return {task: np.array(kept.kept[task.key]) for task in tasks}


def nothing_to_prepare() -> None:
    """Workers need nothing beforehand."""


def accuracy(scores: dict[str, np.ndarray], pictures: list[RatedPicture]) -> dict[str, Any]:
    """SROCC and PLCC of each method with intervals, and how far `AHEAD` are ahead of it in SROCC."""
    names, ratings = [one.image.name for one in pictures], [one.mos for one in pictures]
    columns = {name: values.tolist() for name, values in scores.items()}
    table: dict[str, Any] = {}
    for first, others in AHEAD.items():
        ordered = {name: columns[name] for name in (first, *others)}
        study = study_agreement(ordered, ratings, names, resamples=RESAMPLES)
        for one in study.agreements:
            table.setdefault(one.metric, one.to_dict() | {"minus this": {}})
        for difference in study.differences:
            table[difference.other]["minus this"][first] = difference.to_dict()
    return table


def widths(draws: list[np.ndarray], sigma: float) -> dict[str, Any]:
    """By radius: mean width of the certified interval, and the share that is certified."""
    table = {}
    for radius in RADII:
        ranks = find_ranks(len(draws[0]), sigma, radius, ALPHA)
        ends = [ranks.interval(one) for one in draws]
        reached = ranks.lower is not None and ranks.upper is not None
        table[str(radius)] = _mean_width([high - low for low, high in ends]) | {
            "certified": 1.0 if reached else 0.0
        }
    return table


def _mean_width(widths: list[float]) -> dict[str, Any]:
    """With its 95 % interval, pictures drawn with replacement."""
    values = np.array(widths)
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    return {"width": float(values.mean()), "interval": bootstrap_interval(values[drawn].mean(axis=1))}


def class_widths(draws: list[np.ndarray], sigma: float) -> dict[str, Any]:
    table = {}
    for radius in RADII:
        found = [classify(one, sigma, radius, ALPHA) for one in draws]
        table[str(radius)] = _mean_width([one.high - one.low for one in found]) | {
            "certified": float(np.mean([one.certified for one in found]))
        }
    return table


def srocc_by_draws(draws: np.ndarray, ratings: list[float]) -> dict[str, float]:
    """SROCC of medians of so many draws (N pictures, D draws), the mean over as many runs as the draws give:
    what more draws than D can still add shows in what the last doublings did."""
    total, found = draws.shape[1], {}
    for count in (2**power for power in range(total.bit_length())):
        starts = range(0, total - count + 1, count)
        runs = [[quantile_score(row[start : start + count]) for row in draws] for start in starts]
        found[str(count)] = float(np.mean([spearman(np.array(run), np.array(ratings)) for run in runs]))
    return found


def most_frequent(scores: np.ndarray) -> float:
    """The middle of the bin that most draws fall into, as classification smoothing scores; few draws here."""
    settings = Classification()
    low, high = settings.edges(int(np.bincount(settings.bin_of(scores)).argmax()))
    return (low + high) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="CSV with image,mos,split; split test is used")
    parser.add_argument("--mse", required=True, help="the denoiser trained by squared error alone")
    parser.add_argument("--rank", default="denoiser.blind", help="the one trained by order and score too")
    parser.add_argument(
        "--denoised", default=CERTIFIED, help="the metric fitted to what --rank leaves of noisy pictures"
    )
    parser.add_argument(
        "--damaged", default="blind.clive-kadid-denoised", help="that metric fitted to damaged pictures too"
    )
    parser.add_argument("--fitted", required=True, help="the one fitted to noisy pictures as they are")
    parser.add_argument("--metric", default="blind.clive", help="the papers' methods smooth this one")
    parser.add_argument("--sigma", type=float, nargs="+", default=[0.12, 0.25])
    parser.add_argument("--draws", type=int, default=8, help="for the smoothed score of whole pictures")
    parser.add_argument("--samples", type=int, default=1000, help="for certificates")
    parser.add_argument("--pictures", type=int, default=12, help="how many are certified")
    parser.add_argument("--crop", type=int, default=224, help="middle of those that are certified")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    test = [one for one in read_rated_pictures(options.data) if one.split == "test"]
    chosen = np.random.default_rng(0).permutation(len(test))[: options.pictures]
    some = [test[index] for index in sorted(chosen)]
    methods = {
        "MS": (options.metric, "none"),
        "DMS": (options.metric, options.mse),
        "DMS+rank": (options.metric, options.rank),
        "MS fitted": (options.fitted, "none"),
        "DMS+rank fitted": (options.denoised, options.rank),
        DAMAGED: (options.damaged, options.rank),
    }
    kept: KeptResults[list[float]] = KeptResults(options.cache)

    def tasks(method: str, sigma: float, pictures: list[RatedPicture], crop: int, count: int) -> list[Task]:
        return [Task(methods[method], sigma, str(one.image), crop, count) for one in pictures]

    everything = tasks("MS", 0, test, 0, 1)
    for sigma in options.sigma:
        for name in methods:
            everything += tasks(name, sigma, test, 0, options.draws)
            everything += tasks(name, sigma, some, options.crop, options.samples)
    results = run(everything, kept, options.workers)

    clean = np.array([results[task][0] for task in tasks("MS", 0, test, 0, 1)])
    record: dict[str, Any] = {
        "command": "python benchmarks/certificates.py " + " ".join(sys.argv[1:]),
        "weights": {name: identity(method) for name, method in methods.items()},
        "test_pictures": len(test),
        "draws": options.draws,
        "certified_pictures": len(some),
        "crop": options.crop,
        "samples": options.samples,
        "alpha": ALPHA,
        "sigma": {},
    }
    for sigma in options.sigma:
        smoothed, certified, by_draws = {"clean": clean}, {}, {}
        for name in methods:
            whole = tasks(name, sigma, test, 0, options.draws)
            smoothed[name] = np.array([quantile_score(results[task]) for task in whole])
            by_draws[name] = srocc_by_draws(
                np.array([results[task] for task in whole]), [one.mos for one in test]
            )
            parts = [results[task] for task in tasks(name, sigma, some, options.crop, options.samples)]
            certified[name] = widths(parts, sigma)
            if name == "MS":
                certified["classes"] = class_widths(parts, sigma)
                smoothed["classes"] = np.array([most_frequent(results[task]) for task in whole])
        record["sigma"][str(sigma)] = {
            "accuracy": accuracy(smoothed, test),
            "srocc_by_draws": by_draws,
            "widths": certified,
            "spread": {name: float(values.std()) for name, values in smoothed.items()},
        }
    with replacing(options.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
