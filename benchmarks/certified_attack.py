"""Does an attacked picture leave its certificate, and the score of the plain metric? On 8-bit pictures.

The certificate covers every 8-bit picture within an l2 radius. The attacker changes samples by whole levels:
with a radius of r levels in l2, at most r^2 samples by one level each, those with the steepest gradient. Of
the smoothed score the gradient is averaged over noise (expectation over transformation). Steps are summed up
as in PGD: after each, the r^2 samples with the largest sum are changed. The attacked picture's smoothed score
is drawn anew, with another seed, and must lie inside the certificate of the clean one.

    python benchmarks/certified_attack.py build/sets/clive.csv --at 0.12:0.25 0.25:0.5 --out FILE
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from birqa.certify.denoising import DENOISER
from birqa.certify.noise import Noise
from birqa.certify.smoothed import score_draws
from birqa.certify.smoothing import find_ranks, quantile_score
from birqa.certify.subject import CERTIFIED, create_subject
from birqa.engines.torch import load_single
from birqa.files import replacing
from birqa.images import load_image
from birqa.ratings import read_rated_pictures
from birqa.registry import find_model
from certificates import middle


def clamp(planes: torch.Tensor) -> torch.Tensor:
    return planes.clamp(0, 1)


def attack(picture: np.ndarray, gradient: Any, radius: float, steps: int) -> np.ndarray:
    """`gradient(planes (1, 3, H, W) in [0, 1])` of what is to grow -> an 8-bit picture within the radius."""
    budget = int((255 * radius) ** 2)
    total = np.zeros(picture.shape, np.float64)
    attacked = picture
    for _ in range(steps):
        planes = torch.from_numpy(attacked.transpose(2, 0, 1)[None].copy()).float() / 255
        slope = gradient(planes)[0].permute(1, 2, 0).numpy().astype(np.float64)
        total += slope / (np.abs(slope).max() + 1e-30)
        sign = np.sign(total).astype(np.int16)
        # A sample at the end of the range cannot be moved beyond it.
        possible = (picture + sign >= 0) & (picture + sign <= 255)
        strength = np.where(possible, np.abs(total), 0)
        changed = np.argsort(strength, axis=None)[::-1][:budget]
        moved = picture.astype(np.int16).ravel()
        moved[changed] += sign.ravel()[changed]
        attacked = moved.clip(0, 255).astype(np.uint8).reshape(picture.shape)
    distance = float(np.sqrt(np.square((attacked.astype(float) - picture) / 255).sum()))
    assert distance <= radius + 1e-12
    return attacked


def attack_all(options: argparse.Namespace, sigma: float, radius: float) -> dict[str, Any]:
    """Every picture up and down: certificates at `sigma`, perturbations within `radius`."""
    subject = create_subject(options.metric, options.denoiser)
    subject_plain = create_subject(options.plain, "none")
    metric, plain_metric = (
        load_single(find_model(name, "no-reference")) for name in (options.metric, options.plain)
    )
    clean: Any = clamp
    if options.denoiser != "none":
        clean = load_single(find_model(options.denoiser, "denoiser"))
    test = [one for one in read_rated_pictures(options.data) if one.split == "test"]
    chosen = np.random.default_rng(1).permutation(len(test))[: options.pictures]
    ranks = find_ranks(options.samples, sigma, radius, 1 - options.confidence)
    drawer = np.random.default_rng(2)

    def plain(sign: float) -> Any:
        def gradient(planes: torch.Tensor) -> torch.Tensor:
            planes = planes.requires_grad_()
            return torch.autograd.grad(sign * plain_metric(planes).sum(), planes)[0]

        return gradient

    def smoothed(sign: float) -> Any:
        def gradient(planes: torch.Tensor) -> torch.Tensor:
            planes = planes.requires_grad_()
            shape = (options.expectation, *planes.shape[1:])
            noise = torch.from_numpy(drawer.standard_normal(shape, dtype=np.float32)) * sigma
            return torch.autograd.grad(sign * metric(clean(planes + noise)).mean(), planes)[0]

        return gradient

    def score(picture: np.ndarray) -> float:
        return float(subject_plain.score(picture.transpose(2, 0, 1)[None].astype(np.float32) / 255)[0])

    def draws(picture: np.ndarray, seed: int) -> np.ndarray:
        return score_draws(
            subject.score,
            picture,
            Noise("discrete", sigma, seed),
            range(options.samples),
            memory=2**27,
            bytes_per_pixel=subject.bytes_per_pixel,
        )

    trials = []
    for number, index in enumerate(sorted(chosen), 1):
        picture = middle(load_image(test[index].image), options.crop)
        certified = draws(picture, seed=10)
        low, high = ranks.interval(certified)
        for direction, sign in (("up", 1.0), ("down", -1.0)):
            one = attack(picture, smoothed(sign), radius, options.steps)
            other = attack(picture, plain(sign), radius, options.steps)
            trials.append(
                {
                    "image": test[index].image.name,
                    "direction": direction,
                    "low": low,
                    "high": high,
                    "smoothed": quantile_score(certified),
                    "smoothed_attacked": quantile_score(draws(one, seed=11)),
                    "plain": score(picture),
                    "plain_attacked": score(other),
                }
            )
        print(f"{number} of {len(chosen)}", file=sys.stderr)
    moved = np.array([abs(one["plain_attacked"] - one["plain"]) for one in trials])
    room = np.array(
        [
            one["high"] - one["smoothed"] if one["direction"] == "up" else one["smoothed"] - one["low"]
            for one in trials
        ]
    )
    return {
        "sigma": sigma,
        "radius": radius,
        "inside": sum(one["low"] <= one["smoothed_attacked"] <= one["high"] for one in trials),
        "plain_moved_further_than_certified": int((moved > room).sum()),
        "mean_move_smoothed": float(np.mean([abs(t["smoothed_attacked"] - t["smoothed"]) for t in trials])),
        "mean_move_plain": float(moved.mean()),
        "mean_room": float(room.mean()),
        "trials": trials,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="CSV with image,mos,split; split test is used")
    parser.add_argument("--metric", default=CERTIFIED)
    parser.add_argument("--denoiser", default=DENOISER)
    parser.add_argument("--plain", default="blind.clive", help="the metric that nothing protects")
    parser.add_argument("--at", nargs="+", default=["0.12:0.25", "0.25:0.5"], metavar="SIGMA:RADIUS")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--confidence", type=float, default=0.999)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--expectation", type=int, default=16, help="draws that a gradient is averaged over")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    runs = [attack_all(options, *map(float, at.split(":"))) for at in options.at]
    record = {
        "command": "python benchmarks/certified_attack.py " + " ".join(sys.argv[1:]),
        "settings": {
            name: value for name, value in vars(options).items() if name not in ("data", "out", "at")
        },
        "runs": runs,
    }
    with replacing(options.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for run in runs:
        print(json.dumps({name: value for name, value in run.items() if name != "trials"}, indent=1))


if __name__ == "__main__":
    main()
