"""Checking a certificate with the picture at hand: part of its draws is drawn and scored again."""

import math
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from birqa.certify.certificate import Certificate, CertificateError, check_picture, check_subject
from birqa.certify.identity import identify
from birqa.certify.smoothed import MEMORY, OF_DEVIATION, Progress, rounding, score_draws
from birqa.certify.smoothing import Interval
from birqa.certify.subject import Subject, create_subject

REDRAWN = 50
# Between processors and numbers of threads scores differ in their last digits.
TOLERANCE = OF_DEVIATION


@dataclass(frozen=True)
class Redrawn:
    """Draws that came out again."""

    count: int
    n: int
    """All draws of the certificate."""
    difference: float
    """The largest, of a score and its redrawn one."""
    allowed: float
    """By how much they might have differed and passed."""

    @property
    def noticed(self) -> float:
        """Had this share of the draws been made up, or more, one would have been noticed with 95 %."""
        return 0.0 if self.count == self.n else 1 - 0.05 ** (1 / self.count)

    @property
    def unnoticed(self) -> int:
        """How many of the draws may be made up and pass with a chance of 5 % or more."""
        return min(self.n - self.count, math.floor(self.noticed * self.n))


def withstanding(certificate: Certificate, made_up: int, shifted: float = 0.0) -> Interval:
    """The interval that would still hold if so many of the draws were made up and all others `shifted` by as
    much: each end lies so many ranks and this further out, or is the end of the range of scores."""
    ordered = np.sort(certificate.scores.astype(np.float64))
    claim, (low, high) = certificate.claim, certificate.limits
    lower = 0 if claim.lower_rank is None else claim.lower_rank - made_up
    upper = len(ordered) + 1 if claim.upper_rank is None else claim.upper_rank + made_up
    return (
        max(low, float(ordered[lower - 1]) - shifted) if lower >= 1 else low,
        min(high, float(ordered[upper - 1]) + shifted) if upper <= len(ordered) else high,
    )


def subject_of(
    certificate: Certificate,
    metric: str | Path | None = None,
    denoiser: str | Path | None = None,
    ref: NDArray[np.generic] | None = None,
    *,
    engine: str = "auto",
    device: str | None = None,
    threads: int | None = None,
) -> Subject:
    """What the certificate says it is about; `metric` and `denoiser` say where that is, if in a folder.

    Raises CertificateError where what is found is another one; ValueError where it is not found, or `ref` is
    missing.
    """
    if metric is None and ":" in certificate.metric.name:
        # To import what a file from elsewhere names would be to run it.
        raise ValueError(
            f"the certificate is about {certificate.metric.name}, which is somebody's code: "
            "if you trust it, name it with --metric."
        )
    if certificate.reference is not None and ref is None:
        raise ValueError("the certificate is about a score with a reference: give it with --ref.")
    stated = "none" if certificate.denoiser is None else certificate.denoiser.name
    subject = create_subject(
        certificate.metric.name if metric is None else metric,
        stated if denoiser is None else denoiser,
        ref,
        ref_file=certificate.reference.file if certificate.reference else "",
        engine=engine,
        device=device,
        threads=threads,
    )
    check_subject(certificate, subject)
    return subject


def redraw(
    certificate: Certificate,
    subject: Subject,
    pixels: NDArray[np.generic],
    count: int = REDRAWN,
    *,
    tolerance: float = TOLERANCE,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Redrawn:
    """Draw `count` of the draws again, chosen so that nobody can know which, or all if there are no more.

    Raises CertificateError for another picture or subject, and for a draw that differs by more than
    `tolerance` standard deviations of the redrawn scores (which no forger has a hand in).
    """
    # What may differ is told by their deviation, which one draw has not.
    if count < 2:
        raise ValueError(f"redraw={count} should be at least 2.")
    check_picture(certificate, identify(pixels))
    check_subject(certificate, subject)
    n = len(certificate.scores)
    chosen = sorted(secrets.SystemRandom().sample(range(n), min(count, n)))
    scores = score_draws(
        subject.score,
        pixels,
        certificate.noise,
        chosen,
        subject.limits,
        memory=memory,
        bytes_per_pixel=subject.bytes_per_pixel,
        progress=progress,
    )
    gaps = np.abs(scores.astype(np.float64) - certificate.scores[chosen])
    allowed = rounding(scores, tolerance)
    differing = int((gaps > allowed).sum())
    if differing:
        worst = int(gaps.argmax())
        raise CertificateError(
            f"{differing} of {len(chosen)} draws do not come out again: draw {chosen[worst]} is "
            f"{certificate.scores[chosen[worst]]:.6g} in the certificate and scores {scores[worst]:.6g} here"
            f"{_other_makers(certificate, subject)}."
        )
    return Redrawn(len(chosen), n, float(gaps.max()), allowed)


def _other_makers(certificate: Certificate, subject: Subject) -> str:
    """What might excuse it."""
    there, here = certificate.made_with, subject.made_with
    others = [
        f"{name} {there.get(name, 'none')} there, {here.get(name, 'none')} here"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]
    return f" ({'; '.join(others)})" if others else ""
