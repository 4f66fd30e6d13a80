"""Attacks on pictures in files: what they did to score and picture, as an attacker would save it."""

import csv
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from birqa.attacks.base import Attack, Metric, bidirectional
from birqa.batch import load_pair
from birqa.engines.torch import to_tensor
from birqa.features.colour import luma
from birqa.features.ssim import local_statistics, ssim_map
from birqa.files import replacing
from birqa.images import ResizeMode
from birqa.pairing import Pair

Way = Literal["up", "down"]


@dataclass(frozen=True)
class Outcome:
    """What an attack did to one picture; scores and change are those of the 8-bit file."""

    ref: str
    dist: str
    attacked: str
    budget: float
    direction: str
    before: float
    after: float
    psnr: float
    """Of the change, in dB."""
    ssim: float
    """Of the luma before and after."""
    seconds: float


@dataclass(frozen=True)
class Target:
    """A metric under attack, and what the attacker differentiates in its place."""

    metric: Metric
    surrogate: Metric
    device: str = "cpu"
    resize: ResizeMode = "none"

    def load(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """(dist, ref), (1, 3, H, W). Raises ValueError in one sentence."""
        dist, ref = (to_tensor(image).to(self.device) for image in load_pair(pair, self.resize))
        return dist, ref

    @torch.no_grad()
    def score(self, dist: Tensor, ref: Tensor) -> float:
        return float(self.metric(dist, ref))


def choose_directions(target: Target, pairs: Sequence[Pair], direction: str) -> list[Way]:
    """ "up" or "down" for all; or "bidirectional", by the clean scores (a file without one goes up)."""
    if direction != "bidirectional":
        return ["up" if direction == "up" else "down"] * len(pairs)
    scores: dict[int, float] = {}
    for index, pair in enumerate(pairs):
        with suppress(ValueError, OSError):
            scores[index] = target.score(*target.load(pair))
    signs = dict(zip(scores, bidirectional(torch.tensor(list(scores.values()))).tolist(), strict=True))
    return ["down" if signs.get(index) == -1 else "up" for index in range(len(pairs))]


def attack_file(
    attack: Attack, target: Target, pair: Pair, out: Path, budget: float, direction: Way
) -> Outcome:
    """Attack one picture, save it as `out` (PNG), and report on what was saved.

    Raises ValueError in one sentence for files that cannot be read or do not fit together.
    """
    started = time.monotonic()
    dist, ref = target.load(pair)
    (attacked,) = attack(target.surrogate, dist, ref, [budget], direction)
    levels = torch.round(attacked[0] * 255).to(torch.uint8)
    with replacing(out) as part:
        Image.fromarray(levels.permute(1, 2, 0).cpu().numpy()).save(part, format="PNG")
    saved = (levels.float() / 255)[None]
    with torch.no_grad():
        error = float((saved - dist).square().mean())
        similarity = float(ssim_map(local_statistics(luma(dist), luma(saved))).mean())
    return Outcome(
        str(pair.ref),
        str(pair.dist),
        str(out),
        budget,
        direction,
        target.score(dist, ref),
        target.score(saved, ref),
        float("inf") if error == 0 else -10 * float(np.log10(error)),
        similarity,
        time.monotonic() - started,
    )


def attack_folder(
    attack: Attack,
    target: Target,
    pairs: Sequence[Pair],
    out: Path,
    budget: float,
    directions: Sequence[Way],
    settings: dict[str, Any],
) -> Iterator[tuple[Pair, Outcome | str]]:
    """Attack every pair; pictures go to `out`, what was done to `out/attack.json` after each of them.

    A run that was broken off goes on where it was, if its `settings` are the same. A picture that cannot be
    attacked gives a sentence instead of an outcome, and the rest goes on. Raises ValueError where `out` holds
    another run.
    """
    record_file = out / "attack.json"
    done: dict[str, dict[str, Any]] = {}
    if record_file.exists():
        record = json.loads(record_file.read_text(encoding="utf-8"))
        if record["settings"] != json.loads(json.dumps(settings)):
            raise ValueError(f"{out} holds an attack with other settings: choose another folder.")
        done = {outcome["attacked"]: outcome for outcome in record["outcomes"]}
    out.mkdir(parents=True, exist_ok=True)
    for pair, direction, name in zip(pairs, directions, _names(pairs), strict=True):
        file = out / name
        if str(file) in done and file.exists():
            yield pair, Outcome(**done[str(file)])
            continue
        try:
            outcome = attack_file(attack, target, pair, file, budget, direction)
        except (ValueError, OSError, MemoryError) as error:
            yield pair, str(error) or type(error).__name__
            continue
        done[str(file)] = asdict(outcome)
        record = {"settings": settings, "outcomes": list(done.values())}
        with replacing(record_file) as part:
            part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        yield pair, outcome


def write_table(path: Path, outcomes: Sequence[dict[str, Any]]) -> None:
    """What was done to each picture, as CSV."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Outcome)])
        writer.writeheader()
        writer.writerows(outcomes)


def _names(pairs: Sequence[Pair]) -> list[str]:
    """The distorted pictures' names as PNG, told apart by numbers where they are the same."""
    names: list[str] = []
    for pair in pairs:
        name, number = f"{pair.dist.stem}.png", 1
        while name in names:
            number += 1
            name = f"{pair.dist.stem}_{number}.png"
        names.append(name)
    return names
