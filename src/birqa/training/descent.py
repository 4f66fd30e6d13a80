"""A plain loop for losses that are not about rated pairs: seeded, resumable, on one process."""

import copy
import csv
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from birqa.files import replacing
from birqa.ranges import require_at_least, require_descent
from birqa.training.checkpoint import load_checkpoint, save_checkpoint

Drawn = TypeVar("Drawn")
Figures = dict[str, float]


class Scheduled(Protocol):
    """What a learning rate follows from."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def warmup(self) -> int: ...


@dataclass(frozen=True)
class Schedule:
    """How a run descends: Adam, a linear warm-up, a cosine to zero."""

    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    average_decay: float = 0.998
    """Decay of the running mean of the weights, which is what is kept."""
    checkpoint_every: int = 100
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        require_descent(self)
        require_at_least(0, self, "weight_decay")


def learning_rate(config: Scheduled, step: int) -> float:
    """Linear warm-up, then a cosine to zero at the last step."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the running mean of the weights towards those after `step`, faster at the start; buffers as is."""
    decay = min(decay, (1 + step) / (10 + step))
    for mean, value in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
    for kept, met in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(met)


class Descent(Generic[Drawn]):
    """`draw(step)` makes what step's loss is of, a pure function of the step, in a thread of its own;
    `loss(model, drawn)` gives the loss and figures for the log. `same` must not change when a run goes on;
    what a checkpoint lacks of it, since it is older than a setting, was as in `defaults`.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: Schedule,
        draw: Callable[[int], Drawn],
        loss: Callable[[nn.Module, Drawn], tuple[Tensor, Figures]],
        out: Path,
        same: dict[str, Any],
        defaults: dict[str, Any] | None = None,
    ) -> None:
        if schedule.threads:
            torch.set_num_threads(schedule.threads)
        self.model, self.schedule, self.draw, self.loss, self.out = model, schedule, draw, loss, out
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.same = {"configuration": asdict(schedule) | same}
        self.step = 0
        self.log: list[dict[str, Any]] = []
        out.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            usual = {one.name: one.default for one in fields(Schedule) if one.default is not MISSING}
            filled = {"configuration": self.same["configuration"] | usual | (defaults or {})}
            meta = load_checkpoint(self.checkpoint, self._modules(), self.optimiser, self.same, filled)
            self.step, self.log = meta["step"], meta["log"]

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def _modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.average}

    def run(
        self, report: Callable[[dict[str, Any]], None] = lambda entry: None, until: int | None = None
    ) -> nn.Module:
        """Train to the last step, or to step `until`; gives the averaged model.

        Raises FloatingPointError when the loss or its gradient is not finite.
        """
        end = self.schedule.steps if until is None else min(until, self.schedule.steps)
        self.model.train()
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.draw, self.step)
            started, first, kept = time.monotonic(), self.step, list[Figures]()
            while self.step < end:
                drawn = coming.result()
                coming = ahead.submit(self.draw, self.step + 1)
                kept.append(self._train_step(drawn))
                self.step += 1
                if self.step % self.schedule.checkpoint_every and self.step != end:
                    continue
                rate = (time.monotonic() - started) / (self.step - first)
                means = {name: float(np.mean([one[name] for one in kept])) for name in kept[0]}
                self.log.append({"step": self.step, **means, "seconds_per_step": round(rate, 3)})
                kept = []
                meta = self.same | {"step": self.step, "log": self.log}
                save_checkpoint(self.checkpoint, self._modules(), self.optimiser, meta)
                self._write_log()
                left = rate * (self.schedule.steps - self.step) / 60
                report(self.log[-1] | {"minutes_left": round(left, 1)})
            coming.cancel()
        return self.average

    def _train_step(self, drawn: Drawn) -> Figures:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.schedule, self.step)
        loss, figures = self.loss(self.model, drawn)
        self.optimiser.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.gradient_clip)
        if not torch.isfinite(loss + norm):
            raise FloatingPointError(
                f"the loss is {loss.item()} with gradient norm {norm.item()} at step {self.step} "
                f"(seed {self.schedule.seed}): lower the learning rate."
            )
        self.optimiser.step()
        follow(self.average, self.model, self.schedule.average_decay, self.step)
        return {"loss": float(loss.detach()), **figures}

    def _write_log(self) -> None:
        with replacing(self.out / "configuration.json") as part:
            part.write_text(json.dumps(self.same["configuration"], indent=1) + "\n", encoding="utf-8")
        with replacing(self.out / "curves.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.log[0]))
            writer.writeheader()
            writer.writerows(self.log)
