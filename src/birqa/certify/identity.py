"""What tells a picture, a metric or a denoiser from all others."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Part:
    """A metric or a denoiser."""

    name: str
    """name.tag, or the spec of other people's metric."""
    version: str
    sha256: str | None
    """Of its configuration, weights and graphs (`Model.digest`); None for other people's metric, of which the
    name is all there is."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True)
class Picture:
    """A decoded picture."""

    file: str
    """Its name, for people; what counts are the pixels."""
    width: int
    height: int
    samples: str
    """uint8, or float32 for deep grey."""
    sha256: str
    """Of the samples, row by row, three a pixel, low byte first."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture of {self.width} x {self.height} pixels")

    @property
    def size(self) -> int:
        """How many samples it has: three a pixel."""
        return 3 * self.width * self.height

    @property
    def shorter_side(self) -> int:
        return min(self.width, self.height)

    def shows(self, other: "Picture") -> bool:
        """Whether both have the same pixels, whatever their files are called."""
        return (self.width, self.height, self.samples, self.sha256) == (
            other.width,
            other.height,
            other.samples,
            other.sha256,
        )


def printable(name: str) -> str:
    """Names go to terminals, where control characters could write what they like."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def identify(picture: NDArray[np.generic], file: str = "") -> Picture:
    """`picture` (H, W, 3), as `birqa.load_image` gives it."""
    height, width = picture.shape[:2]
    samples = np.ascontiguousarray(picture).astype(picture.dtype.newbyteorder("<"), copy=False)
    return Picture(
        printable(file), width, height, str(picture.dtype), hashlib.sha256(samples.tobytes()).hexdigest()
    )
