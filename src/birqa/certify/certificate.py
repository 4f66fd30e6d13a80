"""A certificate: a smoothed score, an interval, and everything that is needed to check both later.

With probability of at least `coverage` over the draws, the smoothed score (the median of the metric under the
noise, or the quantile that was asked for) of this picture and of every picture within `radius` of it lies
between `low` and `high`; where each end was asked for by itself, that is the probability of each. The metric
is taken for one function of each picture alone; engines keep to that up to the last digits. What is not
promised: anything beyond the radius, and so shifts, crops, scaling and re-encoding beyond it; other metrics;
that this draw is not one of the few in a thousand (or what was asked for) that miss.

Several radii read from one certificate: an interval holds for its own radius and all smaller ones at once,
as they are perturbations within the larger radius too. Two intervals of different radii, each from its own
ranks, each hold with their stated probability, but both together only with 1 - 2 alpha (union bound), and so
for k with 1 - k alpha. Who looks at a curve and then picks a radius has read all of it; the radius of the
claim is to be chosen beforehand, and so is the number of draws.

The file is JSON. Its sha256 finds damage and careless editing; it is no signature, as anybody can compute it
anew. Against a maker who cheats stands `birqa verify` with the picture: forged draws do not come out again.
A maker may still have tried many seeds and kept the draws that please; who cannot trust that makes a
certificate with a seed of their own.
"""

import base64
import hashlib
import json
import math
import types
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np
from numpy.typing import ArrayLike, NDArray

from birqa.certify.identity import Part, Picture
from birqa.certify.noise import Noise
from birqa.certify.smoothed import MEMORY, Progress, score_draws
from birqa.certify.smoothing import Interval, find_ranks, quantile_score
from birqa.certify.subject import Subject
from birqa.files import replacing

FORMAT = 2
KIND = "birqa certificate: median smoothing"
LARGEST_RADIUS = 1e6
"""More than lies between black and white of any picture."""
MOST_DRAWS = 100_000
"""The exact tails of the binomial distribution are tested up to here."""
# Ranks and scores are exact; probabilities may differ in the last digits from one processor to another.
PROBABILITY_TOLERANCE = 1e-9

Record = TypeVar("Record")


class CertificateError(ValueError):
    """A certificate does not hold; the message says what about it."""


@dataclass(frozen=True)
class Request:
    """What is to be claimed."""

    radius: float = 0.05
    """l2 size of the perturbations, over all samples, white = 1."""
    confidence: float = 0.999
    two_sided: bool = True
    """Both ends of the interval at once have the confidence; else each end by itself."""
    quantile: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= LARGEST_RADIUS:
            raise ValueError(f"radius={self.radius} should lie between 0 and {LARGEST_RADIUS:g}.")
        # Below one half the ends could change places.
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"confidence={self.confidence} should lie between .5 and 1, for example 0.999.")
        if self.alpha <= 0:
            raise ValueError(f"confidence={self.confidence} leaves nothing to miss: ask for a little less.")
        if not 0 < self.quantile < 1:
            raise ValueError(f"quantile={self.quantile} should be between 0 and 1: .5 is the median.")

    @property
    def alpha(self) -> float:
        """The probability of a miss that is asked for; decimal, as 1 - 0.999 is not .001 in binary."""
        return round(1 - self.confidence, 15)


@dataclass(frozen=True)
class Claim:
    """What n draws show."""

    lower_rank: int | None
    """Of the sorted scores, from 1; None: the draws do not bound it, `low` is the end of the range."""
    upper_rank: int | None
    score: float
    """The drawn score in the middle: an estimate of the smoothed score, of which the interval is certain."""
    low: float
    high: float
    coverage: float
    """Confidence reached, a little above what was asked as ranks are whole numbers; `charge` is taken off."""
    charge: float
    """Probability, at most, that the draws are not exactly those of the noise (`Noise.charge`)."""

    @property
    def is_bounded(self) -> bool:
        """Both ends are drawn scores."""
        return self.lower_rank is not None and self.upper_rank is not None


def make_claim(scores: ArrayLike, request: Request, noise: Noise, size: int, limits: Interval) -> Claim:
    """From the drawn scores (n,) of a picture of `size` samples.

    Raises ValueError where the draws' inexactness alone uses up what may be missed.
    """
    drawn = np.asarray(scores, np.float32)
    n = len(drawn)
    charge = check_charge(request, noise, n, size)
    alpha = request.alpha - charge
    ranks = find_ranks(n, noise.sigma, request.radius, alpha, request.quantile, request.two_sided)
    low, high = ranks.interval(drawn, limits)
    missed = (
        ranks.lower_missed + ranks.upper_missed
        if request.two_sided
        else max(ranks.lower_missed, ranks.upper_missed)
    )
    return Claim(
        ranks.lower,
        ranks.upper,
        quantile_score(drawn, request.quantile),
        float(low),
        float(high),
        1 - missed - charge,
        charge,
    )


def check_charge(request: Request, noise: Noise, n: int, size: int) -> float:
    """What the inexactness of n draws of `size` samples costs. Raises ValueError where it uses up everything
    that may be missed."""
    charge = noise.charge(n * size)
    if charge >= request.alpha:
        raise ValueError(
            f"{n} draws of {size} samples are not exact with a probability of {charge:.1g}, more than a "
            f"confidence of {request.confidence} may miss: ask for less, or for fewer draws."
        )
    return charge


@dataclass(frozen=True, eq=False)
class Certificate:
    """What was certified, the draws, and what they show."""

    metric: Part
    denoiser: Part | None
    limits: Interval
    picture: Picture
    reference: Picture | None
    noise: Noise
    request: Request
    scores: NDArray[np.float32]
    """(n,), in the order of the draws."""
    claim: Claim
    made_with: dict[str, str]

    def interval(self, radius: float) -> Claim:
        """What the same draws show for another radius; see the module on reading several at once."""
        return self._claim(replace(self.request, radius=radius))

    def recheck(self) -> None:
        """Derive the claim anew from the drawn scores. Raises CertificateError naming what differs."""
        low, high = self.limits
        if not len(self.scores):
            raise CertificateError("the certificate holds no draws.")
        if not (
            np.isfinite(self.scores).all() and (self.scores >= low).all() and (self.scores <= high).all()
        ):
            raise CertificateError("the certificate holds scores outside the metric's range.")
        try:
            due = self._claim(self.request)
        except (ValueError, OverflowError) as error:
            raise CertificateError(f"the certificate claims what no draws can show ({error}).") from None
        for field in fields(Claim):
            stated, derived = getattr(self.claim, field.name), getattr(due, field.name)
            if field.name in ("coverage", "charge"):
                same = math.isclose(stated, derived, rel_tol=PROBABILITY_TOLERANCE)
            else:
                same = stated == derived
            if not same:
                raise CertificateError(
                    "the certificate's arithmetic is wrong: it states "
                    f"{field.name.replace('_', ' ')} {stated} where its draws give {derived}."
                )

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; infinite ends are null."""
        record = {
            "kind": KIND,
            "format": FORMAT,
            "metric": asdict(self.metric),
            "denoiser": None if self.denoiser is None else asdict(self.denoiser),
            "limits": [_finite(end) for end in self.limits],
            "picture": asdict(self.picture),
            "reference": None if self.reference is None else asdict(self.reference),
            "noise": asdict(self.noise),
            "request": asdict(self.request),
            "claim": asdict(self.claim) | {"low": _finite(self.claim.low), "high": _finite(self.claim.high)},
            "made_with": self.made_with,
            "draws": len(self.scores),
            "scores": base64.b64encode(self.scores.astype("<f4").tobytes()).decode(),
        }
        return record | {"sha256": _digest(record)}

    @classmethod
    def from_dict(cls, record: Any) -> "Certificate":
        """The arithmetic is `recheck`'s business.

        Raises CertificateError for a record that was changed or has other fields than it should; ValueError
        for what is no certificate of this format.
        """
        if not isinstance(record, dict) or record.get("kind") != KIND:
            raise ValueError("this is no certificate of birqa's.")
        if record.get("format") != FORMAT:
            raise ValueError(
                f"the certificate has format {record.get('format')!r}, but this release of birqa reads "
                f"{FORMAT}: use the release that made it."
            )
        rest = {name: value for name, value in record.items() if name != "sha256"}
        digest = _digest(rest)
        if digest is None or record.get("sha256") != digest:
            raise CertificateError("the certificate was changed after it was written: its sha256 is another.")
        try:
            certificate = cls(
                _read(Part, rest.pop("metric")),
                _read_or_none(Part, rest.pop("denoiser")),
                _limits(rest.pop("limits")),
                _read(Picture, rest.pop("picture")),
                _read_or_none(Picture, rest.pop("reference")),
                _read(Noise, rest.pop("noise")),
                _read(Request, rest.pop("request")),
                _scores(rest.pop("scores"), rest.pop("draws")),
                _read(Claim, _with_infinite_ends(rest.pop("claim"))),
                _texts(rest.pop("made_with")),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CertificateError(f"the certificate is incomplete or malformed ({error}).") from None
        if set(rest) != {"kind", "format"}:
            unknown = ", ".join(sorted(set(rest) - {"kind", "format"}))
            raise CertificateError(f"the certificate holds what it should not ({unknown}).")
        return certificate

    def save(self, path: Path) -> None:
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")

    def _claim(self, request: Request) -> Claim:
        return make_claim(self.scores, request, self.noise, self.picture.size, self.limits)


def load_certificate(path: Path) -> Certificate:
    """Raises CertificateError for a certificate that was changed, ValueError or OSError for what is none."""
    try:
        text = path.read_text(encoding="utf-8")
        record = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_float=_finite_float,
            parse_int=_short_int,
        )
        return Certificate.from_dict(record)
    except CertificateError as error:
        if KIND not in text:
            # Somebody else's JSON need not be as strict.
            raise ValueError(f"{path} is no certificate of birqa's: {error}") from None
        raise CertificateError(f"{path}: {error}") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError(f"{path} is no certificate, or it is damaged: it is not JSON.") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def require_samples(samples: int) -> None:
    """Raises ValueError for a number of draws that no certificate has."""
    if not 1 <= samples <= MOST_DRAWS:
        raise ValueError(f"samples={samples} should be from 1 to {MOST_DRAWS:,}.")


def certify(
    subject: Subject,
    pixels: NDArray[np.generic],
    picture: Picture,
    noise: Noise,
    request: Request,
    samples: int,
    *,
    earlier: Certificate | None = None,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Certificate:
    """Draw `samples` scores of the picture with those `pixels` and say what they show.

    With `earlier`, a certificate of the same picture, subject and noise, its draws are kept and only the
    missing ones drawn: the result is that of all at once. They are taken as they are: where it comes from
    elsewhere, `birqa.certify.verification.redraw` it first. Raises ValueError where it does not fit, or for a
    score outside the subject's range.
    """
    require_samples(samples)
    kept, made_with = np.empty(0, np.float32), subject.made_with
    if earlier is not None:
        check_picture(earlier, picture)
        check_subject(earlier, subject)
        if earlier.noise != noise:
            raise ValueError(
                f"the certificate to be continued has {_told(earlier.noise)}, not {_told(noise)}: leave the "
                "options of the noise out, or make a new certificate."
            )
        kept = earlier.scores
        made_with = _both(earlier.made_with, made_with)
        if len(kept) > samples:
            raise ValueError(
                f"the certificate to be continued has {len(kept)} draws already: ask for more than that, "
                f"not for {samples}."
            )
    check_charge(request, noise, samples, picture.size)
    drawn = score_draws(
        subject.score,
        pixels,
        noise,
        range(len(kept), samples),
        subject.limits,
        memory=memory,
        bytes_per_pixel=subject.bytes_per_pixel,
        progress=progress,
    )
    scores = np.concatenate([kept, drawn])
    return Certificate(
        subject.metric,
        subject.denoiser,
        (float(subject.limits[0]), float(subject.limits[1])),
        picture,
        subject.reference,
        noise,
        request,
        scores,
        make_claim(scores, request, noise, picture.size, subject.limits),
        made_with,
    )


def _told(noise: Noise) -> str:
    return f"{noise.kind} noise of sigma {noise.sigma:g} and seed {noise.seed}"


def _both(earlier: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """What draws of two sittings were made with."""
    return {
        name: one if one == other else f"{one}, then {other}"
        for name in sorted({*earlier, *now})
        for one, other in [(earlier.get(name, "none"), now.get(name, "none"))]
    }


def check_picture(certificate: Certificate, picture: Picture) -> None:
    """Raises CertificateError if the certificate is about another picture."""
    _same_picture("picture", certificate.picture, picture)


def check_subject(certificate: Certificate, subject: Subject) -> None:
    """Raises CertificateError if the certificate is about another metric, denoiser, reference or range."""
    for role, stated, given in (
        ("metric", certificate.metric, subject.metric),
        ("denoiser", certificate.denoiser, subject.denoiser),
    ):
        if stated == given:
            continue
        if stated and given and (stated.name, stated.version) == (given.name, given.version):
            raise CertificateError(
                f"the certificate is about {role} {stated} with other weights, graph or configuration "
                f"(sha256 {_short(stated)}, not {_short(given)})."
            )
        raise CertificateError(f"the certificate is about {role} {stated or 'none'}, not {given or 'none'}.")
    if (certificate.reference is None) != (subject.reference is None):
        having = "no reference" if certificate.reference is None else "a reference"
        raise CertificateError(f"the certificate is about a score with {having}.")
    if certificate.reference and subject.reference:
        _same_picture("reference", certificate.reference, subject.reference)
    if certificate.limits != subject.limits:
        raise CertificateError(
            f"the certificate takes scores from {certificate.limits[0]:g} to {certificate.limits[1]:g}, "
            f"the metric gives {subject.limits[0]:g} to {subject.limits[1]:g}."
        )


def _same_picture(role: str, stated: Picture, given: Picture) -> None:
    if stated.shows(given):
        return
    if (stated.width, stated.height) == (given.width, given.height):
        how = (
            "the size is the same, the pixels are not; a lossy file may also decode otherwise elsewhere, "
            "and a transparent one depends on --background"
        )
    else:
        how = f"{stated.width} x {stated.height} pixels, not {given.width} x {given.height}"
    raise CertificateError(f"the certificate is about another {role} ({how}).")


def _short(part: Part) -> str:
    return "unknown" if part.sha256 is None else part.sha256[:12]


def _digest(record: dict[str, Any]) -> str | None:
    """sha256 of the record as JSON in one certain form; None where it has no such form."""
    try:
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _finite(end: float) -> float | None:
    return end if math.isfinite(end) else None


def _limits(ends: list[float | None]) -> Interval:
    if not isinstance(ends, list) or not all(end is None or isinstance(end, int | float) for end in ends):
        raise ValueError(f"limits are {ends!r}")
    low, high = ends
    limits = (-math.inf if low is None else float(low), math.inf if high is None else float(high))
    if not limits[0] < limits[1]:
        raise ValueError(f"limits {ends}")
    return limits


def _with_infinite_ends(claim: dict[str, Any]) -> dict[str, Any]:
    ends = {"low": -math.inf, "high": math.inf}
    return claim | {name: end for name, end in ends.items() if claim[name] is None}


def _scores(text: str, draws: int) -> NDArray[np.float32]:
    scores = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    if len(scores) != draws:
        raise ValueError(f"{len(scores)} scores of {draws} draws")
    return scores


def _read_or_none(kind: type[Record], record: Any) -> Record | None:
    return None if record is None else _read(kind, record)


def _read(kind: type[Record], record: Any) -> Record:
    """A dataclass from the dictionary of its fields: those, and of their types, and nothing else."""
    hints = get_type_hints(kind)
    if not isinstance(record, dict) or set(record) != set(hints):
        raise ValueError(f"{kind.__name__} should have {', '.join(hints)}")
    values = {}
    for name, hint in hints.items():
        value = record[name]
        if hint is float and type(value) is int:
            value = float(value)
        plain = hint if isinstance(hint, type | types.UnionType) else str
        if not isinstance(value, plain) or (isinstance(value, bool) and hint is not bool):
            raise ValueError(f"{name} is {value!r}")
        _require_printable(value)
        values[name] = value
    return kind(**values)


def _texts(record: dict[Any, Any]) -> dict[str, str]:
    texts = {str(name): str(value) for name, value in record.items()}
    for text in (*texts, *texts.values()):
        _require_printable(text)
    return texts


def _require_printable(value: Any) -> None:
    """A control character could make a terminal show what the file does not hold."""
    if isinstance(value, str) and not value.isprintable():
        raise ValueError(f"{value!r} holds control characters")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, none of whose names may come twice: readers disagree about which one counts."""
    record = dict(pairs)
    if len(record) != len(pairs):
        raise CertificateError("a name comes twice in it.")
    return record


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise CertificateError(f"it holds the number {text[:20]}, which is too large.")
    return value


def _short_int(text: str) -> int:
    # Python refuses to read thousands of digits, in words that are about Python.
    if len(text) > 30:
        raise CertificateError(f"it holds the number {text[:20]}..., which is too large.")
    return int(text)


def _no_constant(name: str) -> None:
    raise CertificateError(f"it holds {name}, which is no JSON.")
