"""What the blind networks are made of: frozen records that are stored beside the weights. Free of torch."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from birqa.pyramid import MINIMUM_SIDE
from birqa.ranges import is_whole

SCALES = 4
COLOUR_SCALE = 2
"""The scale that colours are looked at on; 0 is the finest."""
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows down and columns to the right of the neighbours that products are taken with."""
_COLOURS = 3
_LEAST_SIDE = 16
RESPONSES = {"normalised": 13, "product": 9, "deviation": 12, "gradient": 12, "laplacian": 12}
"""Bins of the histograms of each response, at each scale, of each colour; of products for each direction."""
TONES = {"luma": 12, "saturation": 10, "largest": 8, "smallest": 8, "blue": 9, "red": 9}
HUES, CONTRASTS = 12, 4
"""Bins of the joint histogram of hue, weighted by chroma, and local contrast."""
_OF_A_SCALE = tuple(
    _COLOURS * bins * (len(DIRECTIONS) if name == "product" else 1) for name, bins in RESPONSES.items()
)
HISTOGRAMS = (*_OF_A_SCALE * SCALES, *TONES.values(), HUES * CONTRASTS)
"""Sizes of the histograms that `birqa.blind.histograms.scene_histograms` gives of each region, in order."""

CELLS = 4
"""Parts a side that a picture is divided into: its centre is the inner ones, its layout means of each."""
REGIONS = ("whole", "centre")
LAYOUT = CELLS * CELLS
"""Numbers that `birqa.blind.layout.scene_layout` gives: two of each part, mirrored ones together."""


class _Stored:
    def to_dict(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raises ValueError for fields that there are not."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})  # type: ignore[arg-type]
        if unknown:
            raise ValueError(f"the configuration has unknown fields: {', '.join(unknown)}.")
        return cls(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )


@dataclass(frozen=True)
class BlindConfig(_Stored):
    """The no-reference metric; all of it is ours."""

    widths: tuple[int, ...] = ()
    """Channels of each stage of a network that learns more statistics; every stage halves the grid of the one
    before. Empty for none."""
    shrink: int = 2
    """Pictures are averaged over so many pixels a side before anything else."""
    noise: tuple[float, ...] = ()
    """Deviations of Gaussian noise, white = 1, under each of which every rated picture was shown to the
    regression, for certificates; empty: they were shown as they are."""
    denoiser: str = ""
    """Name or folder of the denoiser that stood between that noise and the statistics; empty for none."""
    supports: int = 0
    """Views of rated pictures that the kernel regression remembers; 0 before it is fitted."""

    def __post_init__(self) -> None:
        if len(self.widths) == 1 or not all(is_whole(width, 1) for width in self.widths):
            raise ValueError(f"widths={self.widths} should be none or at least two numbers of channels.")
        if not all(0 < sigma < math.inf for sigma in self.noise):
            raise ValueError(f"noise={self.noise} should be deviations above 0, or none.")
        if self.denoiser and not self.noise:
            raise ValueError(f"denoiser={self.denoiser!r} has no noise to remove: set noise.")
        largest = MINIMUM_SIDE // _LEAST_SIDE
        if not 1 <= self.shrink <= largest or self.supports < 0:
            raise ValueError(
                f"shrink={self.shrink} should be from 1 to {largest}, for the smallest pictures to leave "
                f"{_LEAST_SIDE} pixels a side, and supports={self.supports} not negative."
            )

    @property
    def learned(self) -> int:
        """Means and deviations of every stage's channels."""
        return 2 * sum(self.widths)

    @property
    def groups(self) -> tuple[int, ...]:
        """Sizes of the groups of statistics: histograms of each scale, of the tones and of the hues, for each
        region; the layout; then mean and deviation of each stage."""
        histograms = (*[sum(_OF_A_SCALE)] * SCALES, sum(TONES.values()), HUES * CONTRASTS) * len(REGIONS)
        return (*histograms, LAYOUT, *(width for width in self.widths for _ in range(2)))

    @property
    def multiple(self) -> int:
        """Pictures are padded to a multiple of so many pixels."""
        return self.shrink


@dataclass(frozen=True)
class DenoiserConfig(_Stored):
    """A U-Net on pictures folded 2x2 into channels; widths and depth are ours."""

    widths: tuple[int, ...] = (16, 32, 64, 96)
    """Channels of each level, fine to coarse."""
    fold: int = 2
    """So many pixels a side become channels of one cell."""
    sigma: tuple[float, float] = (0.0, 0.25)
    """Deviations of the noise it was trained for, of samples in [0, 1]; it is not told which it meets."""

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or not all(is_whole(one, 1) for one in (*self.widths, self.fold)):
            raise ValueError(
                f"a denoiser needs two widths or more, not {self.widths}, and a fold of at least 1, not "
                f"{self.fold}, in whole numbers."
            )
        if len(self.sigma) != 2 or not 0 <= self.sigma[0] <= self.sigma[1] < math.inf:
            raise ValueError(f"sigma={self.sigma} should be the lower and the upper end of a range.")

    @property
    def multiple(self) -> int:
        return int(self.fold * 2 ** (len(self.widths) - 1))
