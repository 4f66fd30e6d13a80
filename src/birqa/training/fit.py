"""The training loop: seeded, resumable, on one process or many, with atomic checkpoints."""

import copy
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import Tensor, nn

from birqa.engines.torch import load_module
from birqa.evaluation.correlation import correlate
from birqa.files import replacing
from birqa.images import to_float
from birqa.network.birqa import BiRQA
from birqa.pyramid import MINIMUM_SIDE
from birqa.ranges import require_pictures
from birqa.ratings import RatedPair
from birqa.registry import find_model
from birqa.training.anchors import (
    Bound,
    anchored_loss,
    find_neighbours,
    measure_bound,
    summarise,
    violations,
)
from birqa.training.batches import AnchoredSampler, Batch, BatchSampler, load_alike
from birqa.training.checkpoint import digest, load_checkpoint, read_tensors, save_checkpoint
from birqa.training.config import TrainingConfig
from birqa.training.defences import Posed, pose
from birqa.training.descent import follow, learning_rate
from birqa.training.losses import regression_loss, step_order_loss
from birqa.training.recipes import refuse_other_network
from birqa.training.run_folder import write_curves, write_description

# Reading a batch takes longer than a GPU needs for its step.
LOADERS_OF_A_GPU = 8
NOT_VALIDATED = -1.0
"""The best validation SROCC before there was any."""


class Trainer:
    """Owns the model, its running mean and the optimiser; `run` trains to the last step.

    `fabric` decides where: by default one process on the CPU. With several processes each computes its share
    of every batch, and the loss is that of the whole batch, so the number of processes does not change the
    result beyond rounding. `model` is what is trained, by default a `BiRQA` of the configuration: any module
    that takes (dist, ref, levels=True) and gives (N, 1 + L), scores in 0..1 and those of its L >= 0 levels.
    `start` gives its first weights, by default random ones. `data` tells where the pairs are from, for the
    run folder's description.
    """

    def __init__(
        self,
        config: TrainingConfig,
        train: list[RatedPair],
        validation: list[RatedPair],
        out: Path,
        fabric: Fabric | None = None,
        start: dict[str, Tensor] | None = None,
        model: nn.Module | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        _check_pairs(config, train, validation)
        self.config = config
        self.fabric = fabric or Fabric(accelerator="cpu", devices=1)
        if config.batch % self.fabric.world_size:
            raise ValueError(
                f"a batch of {config.batch} cannot be shared evenly by {self.fabric.world_size} processes: "
                "set batch in the recipe to a multiple."
            )
        if config.order_weight and config.order_pairs % self.fabric.world_size:
            raise ValueError(
                f"{config.order_pairs} pictures whose order is asked cannot be shared evenly by "
                f"{self.fabric.world_size} processes: set order_pairs in the recipe to a multiple."
            )
        self.loaders = 1 if self.fabric.device.type == "cpu" else LOADERS_OF_A_GPU
        """So many batches are read ahead at once."""
        self.out = out
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.model = BiRQA(config.network) if model is None else model
        if start is not None:
            self.model.load_state_dict(start)
        self.average = copy.deepcopy(self.model).to(self.fabric.device).eval()
        if isinstance(self.model, BiRQA):
            self.model.mixed = config.precision != "32-true"
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=config.learning_rate, betas=(0.9, 0.999)
        )
        self.sampler = _sampler(config, train)
        self.bounds: list[Bound] = []
        """Theorem 1 at every step since the last log entry."""
        self.widened: list[float] = []
        """By how much the bands of these steps were widened, on the scale of scores."""
        self.pairs_digest = digest(*map(_described, train))
        picks = np.random.default_rng(config.seed).permutation(len(validation))[: config.validation_pairs]
        self.validation = [validation[index] for index in sorted(picks)]
        _check_validation(self.validation)
        self.step = 0
        self.best = NOT_VALIDATED
        self.log: list[dict[str, Any]] = []
        out.mkdir(parents=True, exist_ok=True)
        self.forward, self.stepper = self.fabric.setup(self.model, self.optimiser)
        if self.checkpoint.exists():
            self._resume()
        else:
            # Those of another run are none of this one's.
            self.best_weights.unlink(missing_ok=True)
        if self.fabric.is_global_zero:
            write_description(out, config, str(self.fabric.device), self.fabric.world_size, data)

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    @property
    def best_weights(self) -> Path:
        return self.out / "best.safetensors"

    def _resume(self) -> None:
        same = self._same()
        defaults = same | {"configuration": TrainingConfig().to_dict()}
        meta = load_checkpoint(self.checkpoint, self._modules(), self.optimiser, same, defaults)
        self.step, self.best, self.log = meta["step"], meta["best"], meta["log"]

    def save_checkpoint(self) -> None:
        state = {"step": self.step, "best": self.best, "log": self.log}
        save_checkpoint(self.checkpoint, self._modules(), self.optimiser, self._same() | state)

    def _modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.average}

    def _same(self) -> dict[str, Any]:
        """What a run that goes on must share with its beginning."""
        same = {"configuration": self.config.to_dict(), "set of training pairs": self.pairs_digest}
        if self.config.keep == "best":
            same["set of validation pairs"] = digest(*map(_described, self.validation))
        return same

    def run(
        self, report: Callable[[dict[str, Any]], None] = lambda entry: None, until: int | None = None
    ) -> None:
        """Train to the last step, or to step `until`; `report` gets each log entry (on the first process).

        Raises FloatingPointError, naming the batch, when the loss or its gradient is not finite.
        """
        end = min(self.config.steps, self.config.steps if until is None else until)
        share = range(self.fabric.global_rank, self.config.batch, self.fabric.world_size)
        with ThreadPoolExecutor(self.loaders) as loader:
            coming = deque(
                loader.submit(self.sampler, self.step + number, share) for number in range(self.loaders)
            )
            started, losses = time.monotonic(), []
            first = self.step
            while self.step < end:
                batch = coming.popleft().result()
                coming.append(loader.submit(self.sampler, self.step + self.loaders, share))
                losses.append(self._train_step(batch))
                self.step += 1
                due = self.config.checkpoint_every, self.config.validate_every
                if all(self.step % every for every in due) and self.step != end:
                    continue
                rate = (time.monotonic() - started) / (self.step - first)
                entry = {
                    "step": self.step,
                    "loss": float(np.mean(losses)),
                    "seconds_per_step": round(rate, 3),
                }
                losses = []
                entry |= summarise(self.bounds)
                if self.widened:
                    entry["widened"] = float(np.mean(self.widened))
                self.bounds, self.widened = [], []
                if self.fabric.is_global_zero:
                    if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
                        entry |= self.validate()
                        self._keep_best(entry)
                    self.log.append(entry)
                    self.save_checkpoint()
                    write_curves(self.out, self.log)
                    report(entry)
                self.fabric.barrier()
            # Batches drawn ahead that nobody needs.
            for ahead in coming:
                ahead.cancel()

    def result(self) -> nn.Module:
        """The averaged model of the best validation, or of the last step: see `TrainingConfig.keep`.

        Raises ValueError where the file of the best is gone.
        """
        if self.config.keep == "best" and self.best > NOT_VALIDATED:
            if not self.best_weights.exists():
                raise ValueError(f"{self.best_weights} is missing, the best weights of this run: start anew.")
            self.average.load_state_dict(read_tensors(self.best_weights)[0])
        return self.average

    def result_validation(self) -> dict[str, float]:
        """Step and validation of the weights that `result` gives; empty where none was possible."""
        validated = [entry for entry in self.log if "srocc" in entry]
        if not validated:
            return {}
        best = self.config.keep == "best"
        entry = max(validated, key=lambda one: one["srocc"]) if best else validated[-1]
        return {name: entry[name] for name in ("step", "srocc", "plcc")}

    def _keep_best(self, entry: dict[str, Any]) -> None:
        if self.config.keep == "best" and entry.get("srocc", NOT_VALIDATED) > self.best:
            self.best = entry["srocc"]
            with replacing(self.best_weights) as part:
                save_file(self.average.state_dict(), part)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.fabric.device)

    def _whole(self, share: Tensor) -> Tensor:
        """The values of the whole batch, in its order, from every process's share; gradients flow back."""
        if self.fabric.world_size == 1:
            return share
        gathered = cast(Tensor, self.fabric.all_gather(share, sync_grads=True))
        return gathered.transpose(0, 1).reshape(-1, *share.shape[1:])

    def _train_step(self, batch: Batch) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        self.forward.train()
        target = (self._tensor(batch.mos) / self.config.identity_mos).clamp(0, 1)
        clean = Posed(self._tensor(batch.dist), self._tensor(batch.ref), target, self._tensor(batch.anchor))
        posed = pose(self.config, self.model, batch, self.step, clean)
        outputs = self._whole(self.forward(posed.dist, posed.ref, levels=True).float())
        loss = self._loss(outputs, self._whole(posed.target), self._whole(posed.anchor.float()) > 0)
        if self.config.order_weight:
            loss = loss + self.config.order_weight * self._order(batch)
        if self.config.defence.kind == "AAT":
            self.widened.append(batch.widened / self.config.identity_mos)
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        norm = cast(
            Tensor,
            self.fabric.clip_gradients(
                self.forward, self.stepper, max_norm=self.config.gradient_clip, error_if_nonfinite=False
            ),
        )
        if not torch.isfinite(loss + norm):
            raise FloatingPointError(
                f"the loss is {loss.item()} with gradient norm {norm.item()} at step {self.step} "
                f"(seed {self.config.seed}), on the batch {', '.join(batch.names)}: lower the learning rate."
            )
        self.stepper.step()
        follow(self.average, self.model, self.config.average_decay, self.step)
        return float(loss.detach())

    def _loss(self, outputs: Tensor, target: Tensor, anchor: Tensor) -> Tensor:
        """Of the whole batch: `outputs` (N, 1 + L), scores and those of levels; `target`, `anchor` (N,)."""
        defence = self.config.defence
        if defence.kind != "AAT":
            return self._regression(outputs, target, torch.ones_like(anchor))
        loss = self._regression(outputs, target, anchor)
        prediction = outputs[:, 0]
        self.bounds.append(measure_bound(prediction, target, anchor))
        neighbours = find_neighbours(target, anchor)
        hinge = anchored_loss(violations(prediction, target, neighbours, defence.hold_anchors), defence.top)
        loss = defence.base_weight * loss + defence.hinge_weight * hinge
        if defence.attacked_weight:
            loss = loss + defence.attacked_weight * self._regression(outputs, target, ~anchor)
        return loss

    def _order(self, batch: Batch) -> Tensor:
        """Of the order of fine steps of damage, on references of the whole batch."""
        assert batch.steps is not None
        ref, better, worse = self._tensor(batch.steps)
        outputs = self.forward(torch.cat([better, worse]), torch.cat([ref, ref]), levels=True)
        return step_order_loss(*map(self._whole, outputs[:, 0].float().chunk(2)))

    def _regression(self, outputs: Tensor, target: Tensor, asked: Tensor) -> Tensor:
        """Loss (5) of the pictures asked for, with that of their levels."""
        config = self.config
        loss, *level_losses = (
            regression_loss(one[asked], target[asked], config.alpha, config.mse_weight)
            for one in outputs.unbind(1)
        )
        if level_losses:
            loss = loss + config.level_weight * sum(level_losses) / len(level_losses)
        return loss

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Correlations of the averaged model with the ratings of the held-out references."""
        if not self.validation:
            return {}
        scores = []
        for pair in self.validation:
            dist, ref = (
                self._tensor(to_float(picture).transpose(2, 0, 1)[None].copy())
                for picture in load_alike(pair)
            )
            scores.append(float(self.average(dist, ref)))
        try:
            agreement = correlate(scores, [pair.mos for pair in self.validation])
        except ValueError:
            # Too few pairs, or all alike: nothing to say is no reason to stop.
            return {}
        return {"srocc": agreement.srocc, "plcc": agreement.plcc}


def start_from(name: str, config: TrainingConfig) -> tuple[TrainingConfig, dict[str, Tensor]]:
    """The configuration with the network of the model of that name, and its weights, to train on from.

    A `feature_floor` other than 0 is taken from the configuration: features hold no weights. Raises
    ValueError where the configuration asks for another network otherwise.
    """
    model = find_model(name)
    refuse_other_network(model.label, model.config, config.network, "feature_floor")
    floor = config.network.feature_floor or model.config.feature_floor
    network = replace(model.config, feature_floor=floor)
    return replace(config, network=network, start=model.label), load_module(model).state_dict()


def _sampler(config: TrainingConfig, train: list[RatedPair]) -> BatchSampler:
    defence = config.defence
    order = (config.order_pairs if config.order_weight else 0), config.order_of
    rest = config.crop, config.seed, config.border, *order
    if defence.kind in ("AAT", "AT-anchors"):
        width = defence.band * config.identity_mos
        return AnchoredSampler(train, config.batch, defence.anchors, width, *rest)
    return BatchSampler(train, config.batch, config.references_per_batch, *rest)


def _described(pair: RatedPair) -> str:
    """What of a pair must be the same when a run goes on."""
    # A weight of 1 adds nothing, so that checkpoints from before weights counted still go on.
    weight = f" {pair.weight}" if pair.weight != 1 else ""
    return f"{pair.ref.name} {pair.dist.name} {pair.mos}{weight}"


def _check_validation(pairs: list[RatedPair]) -> None:
    """Before the training, which would otherwise end where it is validated first."""
    for pair in pairs:
        height, width = load_alike(pair)[0].shape[:2]
        if min(height, width) < MINIMUM_SIDE:
            raise ValueError(
                f"{pair.dist} is {width}x{height}, but each side must be at least {MINIMUM_SIDE} pixels: "
                "leave it out of the validation."
            )


def _check_pairs(config: TrainingConfig, train: list[RatedPair], validation: list[RatedPair]) -> None:
    if not train:
        raise ValueError("there are no training pairs: give some rows the split train, or none at all.")
    lowest, highest = (end(pair.mos for pair in train) / config.identity_mos for end in (min, max))
    # A little beyond either end lie scores of sets whose scale is open.
    if not -0.5 <= lowest < 1 or highest > 1.5:
        raise ValueError(
            "the ratings must run from 0 to about identity_mos, the rating of an undistorted picture "
            f"({config.identity_mos:g} in this recipe): rescale them (--mos-range), or set it."
        )
    require_pictures(path for pair in (*train, *validation) for path in (pair.ref, pair.dist))
    trained, held_out = (
        {path.resolve() for path in {pair.ref for pair in one}} for one in (train, validation)
    )
    shared = trained & held_out
    if shared:
        raise ValueError(
            f"{len(shared)} references are in both training and validation, e.g. {min(shared)}: "
            "split by reference."
        )
