"""Everything a training run depends on, and how it is read from a recipe."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from birqa.network.config import BiRQAConfig
from birqa.ranges import require_at_least, require_descent, require_kinds, require_positive
from birqa.training.recipes import read_object
from birqa.training.steps import KINDS

Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Defence:
    """Adversarial training (see `birqa.training.defences`); "ours" marks what the papers leave open."""

    kind: Literal["none", "R", "AT", "AT-anchors", "AAT"] = "none"
    budget: float = 4 / 255
    """Of the inner attack, PGD, on pixels in [0, 1]."""
    spread: float = 0.0
    """Each batch's budget, and with it the attack's step, is drawn evenly from 1 - spread of its full size to
    all of it; weights that have met one budget alone see little below it (ours)."""
    ramp: int = 0
    """Steps of the training over which the budget, and with it the attack's step, grows from 0 to its full
    size; a full one at once teaches a network to score all pictures alike (ours)."""
    steps: int = 10
    step: float = 1 / 255
    direction: Literal["random", "inward", "up", "down"] = "random"
    """Where the inner attack pushes scores. random draws it for each picture. inward is towards the middle of
    the scale, as attacks go that confuse ranks; nothing is spent on making good pictures better (ours)."""
    anchors: int = 5
    """Clean pictures in a batch of "AAT" and "AT-anchors"."""
    band: float = 0.5
    """Width of a batch's band of ratings, on the scale where an undistorted picture has 1 (ours)."""
    top: int = 3
    """How many of the largest violations the hinge of AAT looks at (ours)."""
    base_weight: float = 1.0
    """Weight of loss (5) on the anchors in loss (6) (ours)."""
    hinge_weight: float = 1.0
    """Weight of the hinge in loss (6) (ours)."""
    attacked_weight: float = 0.0
    """Weight in loss (6) of loss (5) on the attacked pictures, with the labels that they had; the paper's
    loss knows only their order (ours)."""
    hold_anchors: bool = False
    """Whether the hinge moves the attacked pictures only, and leaves anchors to the base loss (ours)."""

    def __post_init__(self) -> None:
        of = "defence "
        require_kinds(self, of)
        if self.kind not in ("none", "R", "AT", "AT-anchors", "AAT"):
            raise ValueError(f"defence kind={self.kind!r} should be none, R, AT, AT-anchors or AAT.")
        if self.direction not in ("random", "inward", "up", "down"):
            raise ValueError(f"defence direction={self.direction!r} should be random, inward, up or down.")
        require_at_least(2, self, "anchors", of=of)
        require_at_least(1, self, "steps", "top", of=of)
        require_at_least(0, self, "ramp", "base_weight", "hinge_weight", "attacked_weight", of=of)
        require_positive(self, "step", "band", of=of)
        if not 0 < self.budget <= 1:
            raise ValueError(f"defence budget={self.budget} should be above 0 and at most 1.")
        if not 0 <= self.spread <= 1:
            raise ValueError(f"defence spread={self.spread} should be from 0 to 1.")


@dataclass(frozen=True)
class TrainingConfig:
    """Saved beside the checkpoints of a run; "ours" marks what the paper leaves open."""

    network: BiRQAConfig = field(default_factory=BiRQAConfig)
    steps: int = 4000
    batch: int = 32
    references_per_batch: int = 8
    """A batch holds several versions of each of so many references (ours); those of AAT and AT-anchors are
    drawn by their ratings instead."""
    crop: int = 192
    """Side of the square crops in pixels, a multiple of 8; 0 takes whole pictures, all of one size (ours)."""
    border: float = 0.0
    """Share of distorted pictures that get a dark border, as filters with zero padding leave (ours)."""
    learning_rate: float = 1e-3
    """Peak, after the warm-up; cosine to zero (ours)."""
    warmup: int = 100
    mse_weight: float = 1.0
    """Weight of the mean squared error in loss (5)."""
    alpha: float = 1.0
    """Weight of 1 - PLCC in loss (5); ours."""
    level_weight: float = 0.0
    """Weight of the mean of loss (5) over the levels' own scores, so that no level idles (ours)."""
    order_weight: float = 0.0
    """Weight of the order of fine steps: a reference damaged a little, as by a codec, must score better than
    damaged a little more (ours; see `birqa.training.steps`). Training under attack loses this order
    otherwise."""
    order_pairs: int = 4
    """Of the references of the first so many pictures of a batch the order is asked."""
    order_of: tuple[str, ...] = ("codec",)
    """Ways of damage whose order is asked, each as often as it is named: codec, noise (on pictures darkened
    too), scale (made smaller and large again)."""
    identity_mos: float = 1.0
    """Rating that people give to an undistorted picture on the data's scale: ratings are divided by it and
    capped at 1, because identical pictures score 1 by construction."""
    gradient_clip: float = 1.0
    average_decay: float = 0.998
    """Decay of the running mean of the weights, which is what is validated and kept (ours)."""
    keep: Literal["best", "last"] = "best"
    """Which weights become the model: those with the best validation SROCC, or those of the last step."""
    validate_every: int = 500
    validation_pairs: int = 250
    checkpoint_every: int = 100
    precision: Precision = "32-true"
    """Arithmetic of the network; the features are float32 in any case."""
    start: str = ""
    """Weights that the run starts from, as "name version fingerprint"; empty for random ones."""
    seed: int = 0
    threads: int | None = None
    """Of the CPU; null or 0 for as many as torch takes."""
    defence: Defence = field(default_factory=Defence)

    def __post_init__(self) -> None:
        require_descent(self)
        if self.crop % 8 or self.crop < 0:
            raise ValueError(f"crop={self.crop} should be a multiple of 8, or 0 for whole pictures.")
        # A single score correlates with nothing.
        require_at_least(2, self, "batch")
        require_at_least(1, self, "references_per_batch", "validate_every", "order_pairs")
        require_at_least(0, self, "mse_weight", "alpha", "level_weight", "order_weight", "validation_pairs")
        if self.order_weight and self.order_pairs > self.batch:
            raise ValueError(f"order_pairs={self.order_pairs} should be at most the batch of {self.batch}.")
        if (
            not isinstance(self.order_of, tuple)
            or not self.order_of
            or any(kind not in tuple(KINDS) for kind in self.order_of)
        ):
            raise ValueError(f"order_of={self.order_of!r} should be a list of some of: {', '.join(KINDS)}.")
        require_positive(self, "identity_mos")
        if not 0 <= self.border <= 1:
            raise ValueError(f"border={self.border} should be from 0 to 1.")
        if self.keep not in ("best", "last"):
            raise ValueError(f"keep={self.keep!r} should be best or last.")
        if self.precision not in ("32-true", "bf16-mixed"):
            raise ValueError(f"precision={self.precision!r} should be 32-true or bf16-mixed.")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


# What suits a few hundred pairs and weights that are good already.
FINE_TUNING = {
    "steps": 600,
    "batch": 16,
    "learning_rate": 1e-4,
    "warmup": 50,
    "validate_every": 100,
    "average_decay": 0.99,
}


def load_recipe(path: Path | None, **overrides: Any) -> TrainingConfig:
    """A recipe file (JSON with fields of `TrainingConfig`) with the overrides that are not None.

    Raises ValueError for an unknown field, a value out of its range or damaged JSON.
    """
    values = read_object(path) if path else {}
    values |= {name: value for name, value in overrides.items() if value is not None}
    defaults = TrainingConfig().to_dict()
    unknown = sorted(set(values) - set(defaults))
    if unknown:
        raise ValueError(f"{path}: unknown fields of the training configuration: {', '.join(unknown)}.")
    for name in ("network", "defence"):
        if not isinstance(values.get(name, {}), dict):
            raise ValueError(f"{path}: {name}={values[name]!r} should be a JSON object.")
    if isinstance(values.get("order_of"), list):
        values["order_of"] = tuple(values["order_of"])
    if "network" in values:
        values["network"] = BiRQAConfig.from_dict(values["network"])
    if "defence" in values:
        unknown = sorted(set(values["defence"]) - set(defaults["defence"]))
        if unknown:
            raise ValueError(f"{path}: unknown fields of the defence: {', '.join(unknown)}.")
        values["defence"] = Defence(**values["defence"])
    return TrainingConfig(**values)
