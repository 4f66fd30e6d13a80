"""A certificate in plain words: what it says, and what it does not."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from birqa.certify.certificate import MOST_DRAWS, Certificate, Request, require_samples
from birqa.certify.meaning import explain_radius
from birqa.certify.noise import SIGMAS
from birqa.certify.smoothing import find_ranks, smallest_n, smallest_sigma


def describe(certificate: Certificate) -> list[tuple[str, str]]:
    """Lines of (label, text)."""
    claim, request, noise = certificate.claim, certificate.request, certificate.noise
    places = _places(claim.low, claim.high)
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
        ("score", f"{claim.score:.{places}f}  ({what})"),
        (
            "interval",
            f"{interval_in_words(claim.low, claim.high)}, confidence {request.confidence} for {sides} "
            f"(reached {_nines(claim.coverage)})",
        ),
        ("picture", f"{picture.width} x {picture.height}"),
        ("radius", f"l2 {request.radius:g}: {explain_radius(request.radius, picture.width, picture.height)}"),
        ("draws", f"{n:,} under {noise.kind} noise of sigma {noise.sigma:g}, seed {noise.seed}"),
        *([] if request.quantile == 0.5 else [("quantile", f"{request.quantile:g}, in place of the median")]),
        ("holds for", holds),
        (
            "does not cover",
            "perturbations beyond the radius, and so most shifts, crops, scalings and re-encodings; changes "
            "of a larger picture that this one was reduced from, which may grow as it is reduced; the "
            "metric's score of the picture as it is, without noise; other "
            f"metrics{'; changes of the reference' if certificate.reference else ''}; the chance of "
            f"{request.alpha:.3g} that these draws mislead{'' if request.two_sided else ', for each end'}",
        ),
    ]
    if not claim.is_bounded:
        one = claim.lower_rank or claim.upper_rank
        ends = "an end of the interval is" if one else "both ends of the interval are"
        short = advise(request, noise.sigma, n, claim.charge)
        lines.insert(2, ("beware", f"{ends} just the range of scores: {short}"))
    return lines


def advise(request: Request, sigma: float, samples: int, charge: float = 0.0) -> str | None:
    """What it would take to bound the score, where so many draws cannot; None where they can.

    `charge` is what their inexactness costs (`Noise.charge`), where that is known. Raises ValueError for a
    number of draws that no certificate has.
    """
    require_samples(samples)
    radius, p, two_sided = request.radius, request.quantile, request.two_sided
    alpha = request.alpha - charge
    ranks = find_ranks(samples, sigma, radius, alpha, p, two_sided)
    if ranks.lower and ranks.upper:
        return None
    n = smallest_n(sigma, radius, alpha, p, two_sided)
    ways = [] if n is None or n > MOST_DRAWS else [f"at least {n:,} draws"]
    wider = smallest_sigma(samples, radius, alpha, two_sided) if p == 0.5 else None
    if wider is not None and sigma < wider < SIGMAS[1]:
        ways.append(f"a sigma above {math.ceil(1000 * wider) / 1000:g}")
    ways.append("a smaller radius or confidence")
    return (
        f"{samples:,} draws under noise of sigma {sigma:g} bound nothing at radius {radius:g} and confidence "
        f"{request.confidence}; it takes {', or '.join(ways)}."
    )


def _nines(coverage: float) -> str:
    """Rounded down, as it would claim too much otherwise; close to 1, two digits of what is missing."""
    missing = 1 - coverage
    return f"1 - {missing:.2g}" if missing < 1e-6 else f"{math.floor(coverage * 10**6) / 10**6:.6f}"


def interval_in_words(low: float, high: float) -> str:
    """Rounded outwards, as it would claim too much otherwise, to a hundredth of its width at least."""
    places = _places(low, high)
    unit = Decimal(1).scaleb(-places)

    def rounded(end: float, rounding: str) -> str:
        return f"{Decimal(end).quantize(unit, rounding):f}" if math.isfinite(end) else str(end)

    return f"{rounded(low, ROUND_FLOOR)} .. {rounded(high, ROUND_CEILING)}"


def _places(low: float, high: float) -> int:
    width = high - low
    return 4 if not 0 < width < math.inf else min(12, max(4, 2 - math.floor(math.log10(width))))
