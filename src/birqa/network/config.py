"""Every choice of the network, as one frozen record that is stored beside the weights."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from birqa.ranges import is_number, is_whole


@dataclass(frozen=True)
class BiRQAConfig:
    """Fields marked "ours" are defaults of this library where the paper leaves the choice open."""

    widths: tuple[int, ...] = (32, 64, 128, 192)
    """Channels of each pyramid level, fine to coarse (ours; the paper tells only the 5.5 M total)."""
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    """Residual 3x3 blocks after the fusion of each level (ours)."""
    shrink: int = 1
    """The pictures are averaged over so many pixels a side before anything else (ours; the paper's is 1)."""
    patch: int = 4
    """Side of the non-overlapping patches that the pre-processing reads, in pixels of its level (ours)."""
    squeeze: int = 4
    """Reduction of the fusion's squeeze-and-excitation (ours)."""
    head_width: int = 32
    """Channels pooled at each level (ours)."""
    head_hidden: int = 64
    """Hidden units of the score and reliability perceptrons (ours)."""
    gem_powers: tuple[float, float] = (1.0, 6.0)
    """Initial powers of the generalised-mean pooling, spread evenly over the head's channels (ours)."""
    reliability_bound: float = 2.0
    """The reliability logits stay within plus and minus this (ours)."""
    lbp: Literal["hard", "soft", "straight-through"] = "straight-through"
    """LBP comparison: "straight-through" scores with the hard form and differentiates the soft one."""
    lbp_temperature: float = 0.02
    """Temperature of the soft LBP, in luma units (ours)."""
    feature_floor: float = 0.0
    """Contrast, in luma units, below which texture hardly counts, so that a small attack cannot write what
    the features would read; 0 leaves the constants of the literature (ours)."""
    csram: bool = True
    """Bottom-up exchange, fine to coarse; off for ablation."""
    scgb: bool = True
    """Top-down exchange, coarse to fine; off for ablation."""
    reliability_head: bool = True
    """GeM pooling and reliability weights; off for ablation (mean pooling, equal weights)."""

    def __post_init__(self) -> None:
        for name in ("widths", "blocks", "gem_powers"):
            if not isinstance(getattr(self, name), tuple):
                raise ValueError(f"{name}={getattr(self, name)!r} must be a list of numbers.")
        if len(self.widths) != len(self.blocks) or len(self.widths) < 2:
            raise ValueError("widths and blocks must name the same number of levels, at least 2.")
        if not all(is_whole(width, 8) and width % 8 == 0 for width in self.widths):
            raise ValueError(f"widths={self.widths} must be multiples of 8.")
        if not all(is_whole(blocks, 0) for blocks in self.blocks):
            raise ValueError(f"blocks={self.blocks} must be whole numbers of at least 0.")
        for name in ("shrink", "patch", "squeeze", "head_width", "head_hidden"):
            if not is_whole(getattr(self, name), 1):
                raise ValueError(f"{name}={getattr(self, name)!r} must be a whole number of at least 1.")
        if len(self.gem_powers) != 2 or not all(is_number(power) and power > 0 for power in self.gem_powers):
            raise ValueError(f"gem_powers={self.gem_powers} must be two numbers above 0.")
        for name in ("reliability_bound", "lbp_temperature"):
            if not (is_number(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name}={getattr(self, name)!r} must be a number above 0.")
        if self.lbp not in ("hard", "soft", "straight-through"):
            raise ValueError(f"lbp={self.lbp!r} must be hard, soft or straight-through.")
        if not (is_number(self.feature_floor) and 0 <= self.feature_floor < 1):
            raise ValueError(f"feature_floor={self.feature_floor!r} should be at least 0 and below 1.")
        for name in ("csram", "scgb", "reliability_head"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r} must be true or false.")

    @property
    def levels(self) -> int:
        return len(self.widths)

    @property
    def multiple(self) -> int:
        """Shrunk pictures are padded to a multiple of so many pixels: one cell of the coarsest level."""
        return int(self.patch * 2 ** (self.levels - 1))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "BiRQAConfig":
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"the network configuration has unknown fields: {', '.join(unknown)}.")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**values)
