"""The training loop: seeded, resumable, atomic checkpoints, progress."""

import hashlib
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.stats import pearsonr, spearmanr
from torch import Tensor

from birqa.files import replacing
from birqa.images import load_image, to_float
from birqa.network.birqa import BiRQA
from birqa.network.config import BiRQAConfig
from birqa.ratings import RatedPair
from birqa.training.batches import Batch, BatchSampler
from birqa.training.losses import regression_loss


@dataclass(frozen=True)
class TrainingConfig:
    """Everything a run depends on; saved beside its checkpoints."""

    network: BiRQAConfig = field(default_factory=BiRQAConfig)
    steps: int = 4000
    batch: int = 32
    references_per_batch: int = 8
    crop: int = 192
    border: float = 0.0
    """Share of crops whose distorted picture gets a dark border, as filters with zero padding leave."""
    learning_rate: float = 1e-3
    """Peak, after the warm-up; cosine to zero. The paper leaves it open."""
    warmup: int = 100
    alpha: float = 1.0
    """Weight of 1 - PLCC in loss (5)."""
    identity_mos: float = 1.0
    """Rating that people give to an undistorted picture on the data's scale: ratings are divided by it and
    capped at 1, because identical pictures score 1 by construction."""
    gradient_clip: float = 1.0
    average_decay: float = 0.998
    """Decay of the running mean of the weights, which is what is kept."""
    validate_every: int = 500
    validation_pairs: int = 250
    checkpoint_every: int = 100
    seed: int = 0
    threads: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_recipe(path: Path | None, **overrides: Any) -> TrainingConfig:
    """A recipe file (JSON with fields of `TrainingConfig`) with the overrides that are not None.

    Raises ValueError for an unknown field or damaged JSON.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: a JSON object with fields of the training configuration is needed.")
    values |= {name: value for name, value in overrides.items() if value is not None}
    defaults = TrainingConfig().to_dict()
    unknown = sorted(set(values) - set(defaults))
    if unknown:
        raise ValueError(f"{path}: unknown fields of the training configuration: {', '.join(unknown)}.")
    for name, value in values.items():
        default = defaults[name]
        wanted = (int, float) if isinstance(default, float) else int if default is None else type(default)
        if not isinstance(value, wanted) and value is not default:
            raise ValueError(f"{path}: {name}={value!r} should be like {default!r}.")
    if "network" in values:
        values["network"] = BiRQAConfig.from_dict(values["network"])
    return TrainingConfig(**values)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then a cosine to zero at the last step."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def _digest(pairs: list[RatedPair]) -> str:
    """Of names and ratings, not of folders: a data set may move."""
    listing = "\n".join(f"{pair.ref.name} {pair.dist.name} {pair.mos}" for pair in pairs)
    return hashlib.sha256(listing.encode()).hexdigest()


class Trainer:
    """Owns the model, its running mean and the optimiser; `run` trains to the last step."""

    def __init__(
        self,
        config: TrainingConfig,
        train: list[RatedPair],
        validation: list[RatedPair],
        out: Path,
        device: str = "cpu",
    ) -> None:
        if not train:
            raise ValueError("there are no training pairs: give some rows the split train, or none at all.")
        lowest, highest = (end(pair.mos for pair in train) / config.identity_mos for end in (min, max))
        if not 0 <= lowest < 1 or highest > 1.5:
            raise ValueError(
                "the ratings must run from 0 to about identity_mos, the rating of an undistorted picture "
                f"({config.identity_mos:g} in this recipe): rescale them, or set it."
            )
        shared = {pair.ref for pair in train} & {pair.ref for pair in validation}
        if shared:
            raise ValueError(
                f"{len(shared)} references are in both training and validation, e.g. {min(shared)}: "
                "split by reference."
            )
        self.config = config
        self.device = torch.device(device)
        self.out = out
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.model = BiRQA(config.network).to(self.device)
        self.average = BiRQA(config.network).to(self.device).eval()
        self.average.load_state_dict(self.model.state_dict())
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=config.learning_rate, betas=(0.9, 0.999)
        )
        self.sampler = BatchSampler(
            train, config.batch, config.references_per_batch, config.crop, config.seed, config.border
        )
        self.pairs_digest = _digest(train)
        picks = np.random.default_rng(config.seed).permutation(len(validation))[: config.validation_pairs]
        self.validation = [validation[index] for index in sorted(picks)]
        self.step = 0
        self.log: list[dict[str, Any]] = []
        out.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume()

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def _resume(self) -> None:
        with safe_open(self.checkpoint, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = file.metadata()
        saved = json.loads(meta["config"])
        if saved != json.loads(json.dumps(self.config.to_dict())):
            raise ValueError(
                f"{self.checkpoint} was written with another configuration; use another run folder."
            )
        if meta["pairs"] != self.pairs_digest:
            raise ValueError(
                f"{self.checkpoint} was written with other training pairs; use another run folder."
            )

        def part(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)
            }

        self.model.load_state_dict(part("model/"))
        self.average.load_state_dict(part("average/"))
        state = self.optimiser.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in part("adam/").items():
            index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = value
        self.optimiser.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
        self.step = int(meta["step"])
        self.log = json.loads(meta["log"])

    def save_checkpoint(self) -> None:
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"average/{name}": value for name, value in self.average.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam/{index}/{key}": value for key, value in moments.items()}
        meta = {
            "config": json.dumps(self.config.to_dict()),
            "pairs": self.pairs_digest,
            "step": str(self.step),
            "log": json.dumps(self.log),
        }
        with replacing(self.checkpoint) as part:
            save_file({name: value.contiguous() for name, value in tensors.items()}, part, metadata=meta)

    def run(
        self, report: Callable[[dict[str, Any]], None] = lambda entry: None, until: int | None = None
    ) -> None:
        """Train to the last step, or to step `until`; `report` gets each log entry."""
        end = min(self.config.steps, self.config.steps if until is None else until)
        with ThreadPoolExecutor(1) as loader:
            coming = loader.submit(self.sampler, self.step)
            started, losses = time.monotonic(), []
            first = self.step
            while self.step < end:
                batch = coming.result()
                coming = loader.submit(self.sampler, self.step + 1)
                losses.append(self._train_step(batch))
                self.step += 1
                if self.step % self.config.checkpoint_every and self.step != end:
                    continue
                rate = (time.monotonic() - started) / (self.step - first)
                entry = {
                    "step": self.step,
                    "loss": float(np.mean(losses)),
                    "seconds_per_step": round(rate, 3),
                }
                losses = []
                if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
                    entry |= self.validate()
                self.log.append(entry)
                self.save_checkpoint()
                report(entry)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _train_step(self, batch: Batch) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        self.model.train()
        prediction = self.model(self._tensor(batch.dist), self._tensor(batch.ref))
        target = (self._tensor(batch.mos) / self.config.identity_mos).clamp(max=1)
        loss = regression_loss(prediction, target, self.config.alpha)
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        if not torch.isfinite(loss + norm):
            raise FloatingPointError(
                f"the loss is {loss.item()} with gradient norm {norm.item()} at step {self.step} "
                f"(seed {self.config.seed}): lower the learning rate."
            )
        self.optimiser.step()
        decay = min(self.config.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        return float(loss.detach())

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Correlations of the averaged model with the ratings of the held-out references."""
        if not self.validation:
            return {}
        scores = []
        for pair in self.validation:
            dist, ref = (
                self._tensor(to_float(load_image(path)).transpose(2, 0, 1)[None].copy())
                for path in (pair.dist, pair.ref)
            )
            scores.append(float(self.average(dist, ref)))
        ratings = [pair.mos for pair in self.validation]
        if len(set(scores)) < 2 or len(set(ratings)) < 2:
            return {}
        return {"srocc": float(spearmanr(scores, ratings)[0]), "plcc": float(pearsonr(scores, ratings)[0])}
