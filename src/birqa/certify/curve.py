"""The certified interval against the radius, as a picture. Needs matplotlib."""

from pathlib import Path

import numpy as np

from birqa.certify.certificate import Certificate
from birqa.certify.smoothing import smallest_n
from birqa.plots import new_figure, save_figure

POINTS = 80


def save_curve(certificate: Certificate, path: Path) -> None:
    """A PNG. Each interval has its confidence by itself; see `birqa.certify.certificate` on reading many."""
    request, claim, noise = certificate.request, certificate.claim, certificate.noise
    reach = _reach(certificate)
    end = 1.1 * max(request.radius, reach, noise.sigma / 10)
    bounded = []
    for radius in np.linspace(0, end, POINTS):
        due = certificate.interval(float(radius))
        if due.is_bounded:
            bounded.append((radius, due.low, due.high))
    radii, low, high = np.array(bounded).reshape(-1, 3).T

    figure = new_figure(7, 4.2)
    axes = figure.add_subplot()
    # Steps to the next radius that was computed: between two of them the wider interval holds for sure.
    axes.fill_between(radii, low, high, step="pre", alpha=0.25, linewidth=0, color="tab:blue")
    axes.step(radii, np.stack([low, high], 1), where="pre", color="tab:blue", linewidth=1.2)
    axes.axhline(claim.score, color="black", linewidth=1, label="smoothed score")
    if claim.is_bounded:
        ends, label = (claim.low, claim.high), f"claimed: l2 {request.radius:g}"
        axes.plot([request.radius] * 2, ends, "o-", color="tab:red", label=label)
    axes.axvspan(reach, end, color="0.85", linewidth=0, label="not bounded by so few draws")
    axes.set(
        xlabel="l2 radius of the perturbation (white = 1)",
        ylabel=str(certificate.metric),
        title=f"{certificate.picture.file}: {len(certificate.scores)} draws, sigma {noise.sigma:g}\n"
        f"confidence {request.confidence:.10g} at each radius by itself",
        xlim=(0, end),
    )
    axes.legend(loc="best", frameon=False)
    save_figure(figure, path, dpi=130)


def _reach(certificate: Certificate) -> float:
    """The largest radius that so many draws can bound on both sides, to within a hundredth of sigma."""
    request, sigma, n = certificate.request, certificate.noise.sigma, len(certificate.scores)
    steps = 0
    while needed := smallest_n(
        sigma, steps * sigma / 100, request.alpha, request.quantile, request.two_sided
    ):
        if needed > n:
            break
        steps += 1
    return max(0, steps - 1) * sigma / 100
