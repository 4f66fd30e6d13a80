"""What an l2 radius means in a picture's pixels."""

import math
from dataclasses import dataclass

WHITE = 255


@dataclass(frozen=True)
class Meaning:
    """The most that fits into a radius, one way to spend it at a time; white = 1, three samples a pixel."""

    radius: float
    width: int
    height: int
    even: float
    """Grey levels (of 255) in every sample of the picture."""
    one_level: int
    """Samples that may change by one grey level."""
    one_pixel: float
    """Grey levels by which all three samples of a single pixel may change; 255 is black to white."""
    pixels: int
    """Single pixels that may turn from black to white."""
    block: int
    """Side in pixels of the largest square that may turn from black to white; 0: not even one pixel."""

    def __str__(self) -> str:
        every = f"{self.even:.2g} of 255 grey levels in every sample"
        if self.one_level >= 3 * self.width * self.height:
            spread = every
        else:
            spread = f"{every}, or one grey level in {self.one_level:,} of its samples"
        if self.block == 0:
            local = f"one pixel by {self.one_pixel:.3g} grey levels: none can turn from black to white"
        elif self.pixels == self.width * self.height:
            local = "the whole picture from black to white"
        else:
            local = (
                f"{self.pixels:,} pixel{'s' if self.pixels > 1 else ''} from black to white, "
                f"the largest square {self.block} x {self.block}"
            )
        return f"{spread}, or {local}"


def explain_radius(radius: float, width: int, height: int) -> Meaning:
    """For `width` x `height` pixels. Raises ValueError for a radius below 0 or an empty picture."""
    if not 0 <= radius < math.inf or width < 1 or height < 1:
        raise ValueError(f"radius={radius} should not be below 0, nor {width} x {height} pixels below 1.")
    levels = WHITE * radius
    pixels = _whole(min(radius * radius / 3, width * height))
    return Meaning(
        radius,
        width,
        height,
        even=min(levels / math.sqrt(3 * width * height), WHITE),
        one_level=_whole(min(levels * levels, 3 * width * height)),
        one_pixel=min(levels / math.sqrt(3), WHITE),
        pixels=pixels,
        block=min(math.isqrt(pixels), width, height),
    )


def _whole(value: float) -> int:
    """The whole part, for a value that may have been rounded to just below a whole number."""
    return math.floor(value * (1 + 1e-12))
