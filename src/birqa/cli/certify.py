"""birqa certify: a smoothed score with an interval that holds for every perturbation of bounded size."""

import json
import secrets
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from birqa.cli import options
from birqa.files import naming

if TYPE_CHECKING:
    import numpy as np

    from birqa.certify.certificate import Certificate
    from birqa.certify.identity import Picture

Denoiser = Annotated[
    str | None,
    typer.Option(
        help="A denoiser's name.tag or folder, or none; default: the one that suits the metric.",
        show_default=False,
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        help="A metric's name, name.tag or folder, pyiqa:name, or python:module:function of pictures "
        "(B, 3, H, W) in 0..1, NumPy's or torch's, that gives scores (B,); default blind.clive-denoised, "
        "birqa with --ref, or blind.clive with another denoiser.",
        show_default=False,
    ),
]
MaxMemory = Annotated[
    int, typer.Option(min=1, help="MiB that noisy pictures may take while they are scored.")
]


def command(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Picture(s) to be certified, or folders of them.")
    ],
    ref: Annotated[Path | None, typer.Option(help="Reference picture, for a full-reference metric.")] = None,
    metric: Metric = None,
    denoiser: Denoiser = None,
    radius: Annotated[
        float | None,
        typer.Option(
            help="l2 size of the perturbations to hold against, white = 1.",
            show_default="0.05; 0.02 with --ref",
        ),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            help="Standard deviation of the noise, white = 1.", show_default="0.12; 0.02 with --ref"
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Noisy pictures to score.", show_default="1000")
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="Probability with which the interval holds.", show_default="0.999")
    ] = None,
    one_sided: Annotated[
        bool | None,
        typer.Option(
            "--one-sided/--two-sided",
            help="Each end of the interval has the confidence by itself, or both at once.",
            show_default="two-sided",
        ),
    ] = None,
    noise: Annotated[
        Literal["discrete", "gaussian"] | None,
        typer.Option(
            help="discrete is sound in computer arithmetic and needs 8-bit pictures.", show_default="discrete"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Of the noise. Leave it out: who knows it beforehand can choose a picture that its draws "
            "flatter.",
            show_default="a fresh one",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Save the certificate here (JSON); a folder for several pictures."
        ),
    ] = None,
    earlier: Annotated[
        Path | None,
        typer.Option(
            "--continue",
            help="Go on from this certificate, with its settings, and replace it unless -o is given; "
            "50 of its draws are drawn again first. "
            "Decide on the number of draws before looking at what the first ones show.",
        ),
    ] = None,
    shorter_side: options.ShorterSide = None,
    background: options.Background = "0.5",
    curve: Annotated[Path | None, typer.Option(help="Draw the interval against the radius (PNG).")] = None,
    engine: options.Engine = "auto",
    device: options.Devices = None,
    threads: options.Threads = None,
    max_memory: MaxMemory = 1024,
    as_json: options.Json = False,
) -> None:
    """Score pictures so that no perturbation up to a radius can move the score out of a stated interval.

    The score is the median of the metric over noisy copies of the picture. `birqa verify` checks the file
    that -o saves. With --shorter-side the certificate is about the reduced picture.
    Exit code: 0 done, 2 something could not be certified.
    """
    from birqa.batch import NOT_SCORED
    from birqa.certify.certificate import CertificateError, Request, certify, load_certificate
    from birqa.certify.identity import identify
    from birqa.certify.noise import Noise
    from birqa.certify.subject import COMPARED_RADIUS, COMPARED_SIGMA, create_subject
    from birqa.certify.verification import redraw, subject_of
    from birqa.certify.words import advise, describe
    from birqa.images import load_image, reduce_to
    from birqa.pairing import list_pictures

    into_folder = any(photo.is_dir() for photo in photos)
    photos = list_pictures(photos)
    if len(photos) > 1 and (earlier or curve):
        raise typer.BadParameter("--continue and --curve take one picture at a time")
    options.check_output(output, [*photos, ref], folder=True)
    options.check_output(curve, [*photos, ref, output])
    levels = options.parse_background(background)

    if curve:
        # What it needs may be missing, which is better said before the work.
        from birqa.certify.curve import save_curve
    start = None if earlier is None else load_certificate(earlier)
    if start is not None:
        try:
            start.recheck()
        except CertificateError as error:
            raise CertificateError(f"{earlier}: {error}") from None
        output = output or earlier
        shorter_side = shorter_side or start.picture.shorter_side

    def load(path: Path) -> "tuple[np.ndarray, list[int] | None]":
        """The picture, reduced where that is asked for, and the width and height it then had before."""
        whole = load_image(path, background=levels)
        pixels = reduce_to(whole, shorter_side)
        return pixels, None if whole.shape == pixels.shape else [whole.shape[1], whole.shape[0]]

    if start is not None and len(start.scores) == samples:
        print(f"birqa: {earlier} has {samples:,} draws already: none are added", file=sys.stderr)
    if samples is None:
        samples = len(start.scores) if start else 1000
    usual, usual_noise = Request(), Noise()
    if ref is not None:
        usual, usual_noise = Request(radius=COMPARED_RADIUS), Noise(sigma=COMPARED_SIGMA)
    request = start.request if start else usual
    request = replace(
        request,
        radius=request.radius if radius is None else radius,
        confidence=request.confidence if confidence is None else confidence,
        two_sided=request.two_sided if one_sided is None else not one_sided,
    )
    settings = start.noise if start else usual_noise

    def fresh_noise() -> Noise:
        drawn = start.noise.seed if start else secrets.randbits(63)
        return Noise(
            noise or settings.kind,
            settings.sigma if sigma is None else sigma,
            drawn if seed is None else seed,
        )

    reference = None if ref is None else load(ref)[0]
    how: dict[str, Any] = {"engine": engine, "device": device, "threads": threads}
    if start:
        subject = subject_of(start, metric, denoiser, reference, **how)
    else:
        subject = create_subject(metric, denoiser, reference, ref_file=ref.name if ref else "", **how)

    unusual = subject.unsuited(fresh_noise().sigma)
    if unusual:
        print(f"birqa: the score will agree less with people: {unusual}", file=sys.stderr)

    shortfall = advise(request, fresh_noise().sigma, samples)
    if shortfall and any(photo.exists() for photo in photos):
        print(f"birqa: the interval will be the whole range of scores: {shortfall}", file=sys.stderr)

    targets = _targets(photos, output, into_folder)
    for target in targets:
        options.check_output(target, [*photos, ref])
    rows: list[dict[str, Any]] = []
    failed = False
    for photo, target in zip(photos, targets, strict=True):
        try:
            pixels, full = load(photo)
            if start:
                # Draws that somebody made up would be kept, under a fresh sha256.
                redraw(start, subject, pixels, memory=max_memory * 2**20)
            picture = identify(pixels, photo.name)
            if target != output and target is not None:
                _check_replaceable(target, picture)
            with options.progress_bar("Certifying") as progress:
                certificate = certify(
                    subject,
                    pixels,
                    picture,
                    fresh_noise(),
                    request,
                    samples,
                    earlier=start,
                    memory=max_memory * 2**20,
                    progress=progress,
                )
            if target:
                certificate.save(target)
        except NOT_SCORED as error:
            failed = True
            message = naming(photo, str(error) or type(error).__name__)
            rows.append({"picture": str(photo), "error": message})
            print(f"birqa: {message}", file=sys.stderr)
            continue
        rows.append(
            {
                "picture": str(photo),
                **summary(certificate),
                "reduced_from": full,
                "certificate": target and str(target),
            }
        )
        if not as_json:
            print(photo)
            for label, text in describe(certificate):
                print(f"  {label:15}{text}")
            if full:
                print(f"  {'reduced':15}from {full[0]} x {full[1]}: all this is said of the reduced picture")
            if target:
                print(f"  {'saved':15}{target}", flush=True)
        if curve:
            save_curve(certificate, curve)
    if as_json:
        print(json.dumps(rows, indent=1))
    raise typer.Exit(2 if failed else 0)


def summary(certificate: "Certificate") -> dict[str, Any]:
    """What JSON says of a certificate, without its draws."""
    from birqa.certify.meaning import explain_radius

    picture, radius = certificate.picture, certificate.request.radius
    record = certificate.to_dict()
    return {
        **record["claim"],
        "size": [picture.width, picture.height],
        "bounded": certificate.claim.is_bounded,
        **record["request"],
        "draws": record["draws"],
        **{name: record[name] for name in ("noise", "metric", "denoiser", "reference", "made_with")},
        "meaning": asdict(explain_radius(radius, picture.width, picture.height)),
    }


def _targets(photos: list[Path], output: Path | None, into_folder: bool) -> list[Path | None]:
    """Where each certificate goes: the file, or one beside another in the folder."""
    if output is None or (len(photos) == 1 and not into_folder and not output.is_dir()):
        return [output] * len(photos)
    if output.is_file() or output.suffix.lower() == ".json":
        raise typer.BadParameter(f"{output} is a file's name; several certificates need a folder")
    output.mkdir(exist_ok=True)
    targets: list[Path | None] = []
    for photo in photos:
        target, number = output / f"{photo.name}.json", 1
        while target in targets:
            number += 1
            target = output / f"{photo.name}_{number}.json"
        targets.append(target)
    return targets


def _check_replaceable(target: Path, picture: "Picture") -> None:
    """Raises ValueError where a file of this name, which nobody has typed, is none of the same picture."""
    from birqa.certify.certificate import load_certificate

    if target.exists() and not load_certificate(target).picture.shows(picture):
        raise ValueError(f"{target} is the certificate of another picture: choose another output")
