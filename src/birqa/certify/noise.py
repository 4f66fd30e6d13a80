"""The noise that a picture is smoothed with, drawn so that any one draw can be had again by its number.

Draw k of a seed depends on nothing but (seed, k) and the picture's shape: 500 draws today and 1,500 tomorrow
are the 2,000 of one run. What the generator (SFC64 behind NumPy's SeedSequence) gives is taken as random.

Two kinds:

discrete  the certificate holds for what a computer does. Pictures and perturbed pictures hold whole grey
    levels, 0..255, as 8-bit files do. For whole x, x + round(N) = round(x + N), so the rounding belongs to
    the score's function, and the theorem for the continuous Gaussian N holds as it stands; noisy pictures
    are whole numbers, in which nothing is rounded away. round(N) is drawn by inversion of its distribution
    from 64 random bits; by how much that is off is bounded (`Noise.charge`) and paid for by the certificate.
gaussian  pictures and perturbations of any real values; the noise is added in 32-bit floating point, whose
    effects are not accounted for. NumPy does not promise the same normal numbers from every release.

Source of the concern: Voracek and Hein, "Sound randomized smoothing in floating-point arithmetics",
arXiv 2207.07209. The sampler is ours.
"""

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from birqa.images import to_float

Kind = Literal["discrete", "gaussian"]
WHITE = 255
SEEDS = 2**63
# Standard deviations beyond which the discrete noise is never drawn; `_inexactness` counts them.
REACH = 10
SIGMAS = (1e-3, 4.0)

_COARSE_BITS = 16
_AMBIGUOUS = np.int16(-(2**15))


@dataclass(frozen=True)
class Noise:
    """Gaussian noise on the samples of a picture, whose black is 0 and white 1."""

    kind: Kind = "discrete"
    sigma: float = 0.12
    """Standard deviation, of white = 1; 255 sigma grey levels."""
    seed: int = 0
    """To be drawn anew for every certificate: who knows the seed beforehand can choose a picture whose draws
    happen to please, and the certificate's probability is over the draws."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"noise of kind {self.kind!r} is not known: use {' or '.join(get_args(Kind))}.")
        if not SIGMAS[0] <= self.sigma <= SIGMAS[1]:
            raise ValueError(f"sigma={self.sigma} should lie in {SIGMAS[0]:g}..{SIGMAS[1]:g}, of white = 1.")
        if not 0 <= self.seed < SEEDS:
            raise ValueError(f"seed={self.seed} should be a whole number from 0 to 2^63 - 1.")

    def check(self, picture: NDArray[np.generic]) -> None:
        """Raises ValueError for a picture that this noise cannot be laid on."""
        if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ValueError(f"the picture has shape {picture.shape}, but RGB arrays (H, W, 3) are needed.")
        if self.kind == "discrete" and picture.dtype != np.uint8:
            raise ValueError(
                f"the picture is {picture.dtype}, but discrete noise is sound on 8-bit pictures only: "
                "save it at 8 bits, or use gaussian noise (--noise gaussian)."
            )
        to_float(picture[:1, :1])

    def draw(self, index: int, planes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Draw number `index` (from 0) of the noisy picture, float32, white = 1, not clamped.

        `planes` is the picture, (3, H, W): uint8 for the discrete kind, uint8 or float in [0, 1] for the
        other.
        """
        bits = np.random.SFC64(np.random.SeedSequence(self.seed, spawn_key=(index,)))
        if self.kind == "discrete":
            levels = _rounded_normal(bits, planes.size, self.sigma).reshape(planes.shape)
            levels += planes.astype(np.int16)
            # Of the sum: a function of the noisy level and nothing else, as the theorem needs.
            return np.divide(levels, np.float32(WHITE), dtype=np.float32)
        normal = np.random.Generator(bits).standard_normal(planes.shape, np.float32)
        return to_float(planes) + np.float32(self.sigma) * normal

    def charge(self, samples: int) -> float:
        """Total-variation distance, at most, of so many drawn numbers from exact ones: the probability that
        their inexactness changes anything. 0 for the gaussian kind, where it is not accounted for."""
        return samples * _inexactness(WHITE * self.sigma) if self.kind == "discrete" else 0.0


def _inexactness(s: float) -> float:
    """Total-variation distance, at most, of one draw from round(N(0, s^2)).

    The exact number and ours come from one uniform number and differ only where it falls between a threshold
    and its rounded form: at most 2^-65 for each of the thresholds within 10 s. Those beyond are never drawn:
    on either side sum_{b > 10 s} Q(b / s) <= Q(10) + s int_10^inf Q <= phi(10) (1/10 + s/100).
    """
    density = math.exp(-(REACH**2) / 2) / math.sqrt(2 * math.pi)
    return _steps(s) * 2.0**-64 + 2 * density * (1 / REACH + s / REACH**2)


def _steps(s: float) -> int:
    """How many of the thresholds .5, 1.5, ... lie within 10 s."""
    return math.floor(REACH * s + 0.5)


def _rounded_normal(bits: np.random.SFC64, count: int, sigma: float) -> NDArray[np.int16]:
    """`count` independent numbers round(N(0, (255 sigma)^2))."""
    table, thresholds, lowest = _tables(sigma)
    # Four numbers a word. "<" because the order of a word's parts must not depend on the processor.
    coarse = bits.random_raw(-(-count // 4)).astype("<u8", copy=False).view("<u2")[:count]
    levels = table.take(coarse, mode="clip")
    undecided = np.flatnonzero(levels == _AMBIGUOUS)
    fine = bits.random_raw(len(undecided)) >> np.uint64(_COARSE_BITS)
    words = coarse[undecided].astype(np.uint64) << np.uint64(64 - _COARSE_BITS) | fine
    levels[undecided] = lowest + np.searchsorted(thresholds, words, side="right")
    return levels


@lru_cache(maxsize=8)
def _tables(sigma: float) -> tuple[NDArray[np.int16], NDArray[np.uint64], int]:
    """What inverts the distribution of round(N(0, s^2)), s = 255 sigma, for a random 64-bit word.

    The number is `lowest` plus how many of the rising `thresholds` are not above the word. The first table
    gives it for the word's first 16 bits, where they decide.
    """
    steps, rounded = _thresholds(sigma)
    # A threshold of 2^64 is above every word.
    thresholds = np.array([value for value in rounded if value < 2**64], np.uint64)
    first = np.arange(2**_COARSE_BITS, dtype=np.uint64) << np.uint64(64 - _COARSE_BITS)
    last = first | np.uint64(2 ** (64 - _COARSE_BITS) - 1)
    low, high = (-steps + np.searchsorted(thresholds, words, side="right") for words in (first, last))
    return np.where(low == high, low, _AMBIGUOUS).astype(np.int16), thresholds, -steps


def _thresholds(sigma: float) -> tuple[int, list[int]]:
    """m, and round(2^64 Phi(b / s)) for b = -m + .5, ..., m - .5 with s = 255 sigma.

    Phi(z) = 1/2 + phi(z) (z + z^3 / 3 + z^5 / (3 5) + ...): every term is positive, so that 50 digits of
    work leave more than 40 of the result.
    """
    steps = _steps(WHITE * sigma)
    upper = []
    with localcontext(prec=50):
        root = (2 * _PI).sqrt()
        s = WHITE * Decimal(sigma)
        for step in range(steps):
            z = (step + Decimal("0.5")) / s
            term = total = z
            for odd in range(3, 1000, 2):
                term *= z * z / odd
                total += term
                if term < Decimal(10) ** -40:
                    break
            upper.append(
                int((2**64 * (Decimal("0.5") + (-z * z / 2).exp() / root * total)).to_integral_value())
            )
    return steps, [2**64 - value for value in reversed(upper)] + upper


_PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534"
)
