"""Attacks on pictures in files: what they did to score and picture, as an attacker would save it."""

import csv
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from birqa.attacks.base import Attack, Metric, bidirectional
from birqa.batch import NOT_SCORED, load_pair
from birqa.engines.torch import to_tensor
from birqa.features.colour import luma
from birqa.features.ssim import local_statistics, ssim_map
from birqa.files import replacing
from birqa.images import ResizeMode
from birqa.pairing import Pair
from birqa.pyramid import MINIMUM_SIDE

Way = Literal["up", "down"]
RECORD = "attack.json"
"""In the folder of the attacked pictures: the settings, and what was done to each."""
TABLE = "attack.csv"
"""Beside it: what was done to each, up to date after every picture."""


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

    def to_json(self) -> dict[str, Any]:
        """The fields; null for what is no finite number, which JSON cannot hold."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Outcome":
        """Raises KeyError for a field that is missing, and ignores what is no field."""
        known = {field.name: record[field.name] for field in fields(cls)}
        for name, lost in (("psnr", math.inf), ("before", math.nan), ("after", math.nan)):
            if known[name] is None:
                known[name] = lost
        return cls(**known)


@dataclass(frozen=True)
class _Done:
    """An outcome, and the `_digest` of what it was made from."""

    outcome: Outcome
    inputs: str | None


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
        height, width = dist.shape[-2:]
        if min(height, width) < MINIMUM_SIDE:
            raise ValueError(
                f"{pair.dist} is {width}x{height}, but each side must be at least {MINIMUM_SIDE} pixels: "
                "attack a larger picture."
            )
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
        with suppress(*NOT_SCORED):
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
    saved = (levels.float() / 255)[None]
    with torch.no_grad():
        error = float((saved - dist).square().mean())
        similarity = float(ssim_map(local_statistics(luma(dist), luma(saved))).mean())
    outcome = Outcome(
        str(pair.ref),
        str(pair.dist),
        str(out),
        budget,
        direction,
        target.score(dist, ref),
        target.score(saved, ref),
        math.inf if error == 0 else -10 * math.log10(error),
        similarity,
        time.monotonic() - started,
    )
    with replacing(out) as part:
        Image.fromarray(levels.permute(1, 2, 0).cpu().numpy()).save(part, format="PNG")
    return outcome


def attack_folder(
    attack: Attack,
    target: Target,
    pairs: Sequence[Pair],
    out: Path,
    budget: float,
    directions: Sequence[Way],
    settings: dict[str, Any],
    prepare: Callable[[Way], None] = lambda way: None,
) -> Iterator[tuple[Pair, Outcome | str]]:
    """Attack every pair; pictures go to `out`, what was done to `out/attack.json` after each of them.

    `prepare` is called before each picture that is attacked, with the direction.

    A run that was broken off goes on where it was, if its `settings` are the same; a picture whose files or
    direction are not those of that run is attacked again. A picture that cannot be attacked gives a sentence
    instead of an outcome, and the rest goes on. Raises ValueError, before any picture is attacked, where
    `out` holds another run, a damaged one, or pictures that are none of its own.
    """
    done, begun = _read_record(out / RECORD, settings)
    names = _names(pairs)
    _spare_others([out / name for name in names if name not in done and name != begun], pairs)
    out.mkdir(parents=True, exist_ok=True)

    def attack_one(pair: Pair, direction: Way, name: str) -> Outcome | str:
        file = out / name
        inputs = _digest(pair, direction)
        known = done.pop(name, None)
        if known and known.inputs == inputs and file.exists():
            done[name] = known
            return replace(known.outcome, ref=str(pair.ref), dist=str(pair.dist), attacked=str(file))
        prepare(direction)
        # What stays of a run that is killed between picture and record is known to be its own.
        keep(name)
        try:
            outcome = attack_file(attack, target, pair, file, budget, direction)
        except NOT_SCORED as error:
            if known:
                file.unlink(missing_ok=True)
            return str(error) or type(error).__name__
        done[name] = _Done(outcome, inputs)
        keep("")
        write_table(out / TABLE, [one.outcome for one in done.values()])
        return outcome

    def keep(begun: str) -> None:
        outcomes = [one.outcome.to_json() | {"inputs": one.inputs} for one in done.values()]
        with replacing(out / RECORD) as part:
            text = json.dumps({"settings": settings, "begun": begun, "outcomes": outcomes}, indent=1)
            part.write_text(text + "\n", encoding="utf-8")

    # Lazily, but after the record was read, so that one that cannot be gone on from is told at once.
    todo = zip(pairs, directions, names, strict=True)
    return ((pair, attack_one(pair, direction, name)) for pair, direction, name in todo)


def _read_record(file: Path, settings: dict[str, Any]) -> tuple[dict[str, _Done], str]:
    """What is done, by the attacked picture's name, and which one was begun; nothing where there is no such
    file."""
    if not file.exists():
        return {}, ""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        same = record["settings"] == json.loads(json.dumps(settings))
        outcomes = record["outcomes"] if same else []
        begun = str(record.get("begun", ""))
        done = {Path(one["attacked"]).name: _Done(Outcome.from_json(one), one["inputs"]) for one in outcomes}
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise ValueError(
            f"{file} is damaged or no record of an attack: delete it, or choose another folder."
        ) from None
    if not same:
        raise ValueError(f"{file.parent} holds an attack with other settings: choose another folder.")
    return done, begun


def _spare_others(files: Sequence[Path], pairs: Sequence[Pair]) -> None:
    """Raises ValueError if one of the files, which are to be written, is there already."""
    inputs = {path.resolve() for pair in pairs for path in (pair.ref, pair.dist)}
    for file in files:
        if file.resolve() in inputs:
            raise ValueError(f"{file} is one of the pictures to be attacked: choose another folder.")
        if file.exists():
            raise ValueError(f"{file} is there already and of no earlier run: choose another folder.")


def _digest(pair: Pair, direction: Way) -> str | None:
    """Of both files and the direction; None for files that cannot be read, of which the attack says why."""
    digest = hashlib.sha256(direction.encode())
    try:
        for path in (pair.ref, pair.dist):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError:
        return None
    return digest.hexdigest()


def write_table(path: Path, outcomes: Sequence[Outcome]) -> None:
    """What was done to each picture, as CSV."""
    with (
        replacing(path) as part,
        part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, [field.name for field in fields(Outcome)])
        writer.writeheader()
        writer.writerows(asdict(outcome) for outcome in outcomes)


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
