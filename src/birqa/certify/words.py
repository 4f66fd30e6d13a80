"""A certificate in plain words: what it says, and what it does not."""

import math

from birqa.certify.certificate import Certificate, Request
from birqa.certify.meaning import explain_radius
from birqa.certify.smoothing import find_ranks, smallest_n, smallest_sigma


def describe(certificate: Certificate) -> list[tuple[str, str]]:
    """Lines of (label, text)."""
    claim, request, noise = certificate.claim, certificate.request, certificate.noise
    picture, n = certificate.picture, len(certificate.scores)
    what = str(certificate.metric)
    if certificate.reference:
        what += f" against {certificate.reference.file or 'its reference'}"
    if certificate.denoiser:
        what += f", behind {certificate.denoiser}"
    sides = "both ends at once" if request.two_sided else "each end by itself"
    if noise.kind == "discrete":
        holds = "the smoothed score of every 8-bit picture of this size within the radius"
    else:
        holds = (
            "the smoothed score of every picture of this size within the radius, up to effects of "
            "floating-point arithmetic, which are not accounted for"
        )
    lines = [
        ("score", f"{claim.score:.4f}  ({what})"),
        (
            "interval",
            f"{_down(claim.low)} .. {_up(claim.high)}, confidence {request.confidence:.10g} for {sides} "
            f"(reached {_nines(claim.coverage)})",
        ),
        ("picture", f"{picture.width} x {picture.height}"),
        ("radius", f"l2 {request.radius:g}: {explain_radius(request.radius, picture.width, picture.height)}"),
        ("draws", f"{n:,} under {noise.kind} noise of sigma {noise.sigma:g}, seed {noise.seed}"),
        *([] if request.quantile == 0.5 else [("quantile", f"{request.quantile:g}, in place of the median")]),
        ("holds for", holds),
        (
            "does not cover",
            "perturbations beyond the radius, and so most shifts, crops, scalings and re-encodings; other "
            f"metrics{'; changes of the reference' if certificate.reference else ''}; the chance of "
            f"{request.alpha:.3g} that these draws mislead",
        ),
    ]
    if not claim.is_bounded:
        ends = "an end" if claim.lower_rank or claim.upper_rank else "both ends"
        short = advise(request, noise.sigma, n)
        lines.insert(2, ("beware", f"{ends} of the interval are just the range of scores: {short}"))
    return lines


def advise(request: Request, sigma: float, samples: int) -> str | None:
    """What it would take to bound the score, where so many draws cannot; None where they can."""
    radius, alpha, p, two_sided = request.radius, request.alpha, request.quantile, request.two_sided
    ranks = find_ranks(samples, sigma, radius, alpha, p, two_sided)
    if ranks.lower and ranks.upper:
        return None
    n = smallest_n(sigma, radius, alpha, p, two_sided)
    ways = [] if n is None else [f"at least {n:,} draws"]
    wider = smallest_sigma(samples, radius, alpha, two_sided) if p == 0.5 else None
    if wider is not None and wider > sigma:
        ways.append(f"a sigma above {math.ceil(1000 * wider) / 1000:g}")
    ways.append("a smaller radius or confidence")
    return (
        f"{samples:,} draws under noise of sigma {sigma:g} bound nothing at radius {radius:g} and confidence "
        f"{request.confidence:.10g}; it takes {', or '.join(ways)}."
    )


def _nines(coverage: float) -> str:
    """Rounded down, as it would claim too much otherwise; close to 1, two digits of what is missing."""
    missing = 1 - coverage
    return f"1 - {missing:.2g}" if missing < 1e-6 else f"{math.floor(coverage * 10**6) / 10**6:.6f}"


# An interval is printed rounded outwards, as it would claim too much otherwise.


def _down(end: float) -> str:
    return f"{math.floor(end * 10**4) / 10**4:.4f}" if math.isfinite(end) else str(end)


def _up(end: float) -> str:
    return f"{math.ceil(end * 10**4) / 10**4:.4f}" if math.isfinite(end) else str(end)
