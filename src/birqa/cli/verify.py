"""birqa verify: does a certificate hold what it says?"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from birqa.cli import options
from birqa.cli.certify import Denoiser, MaxMemory, Metric, summary
from birqa.files import naming


def command(
    file: Annotated[Path, typer.Argument(metavar="CERTIFICATE", help="What birqa certify -o saved.")],
    photo: Annotated[
        Path | None, typer.Argument(help="The picture it is about; part of the draws is then drawn again.")
    ] = None,
    ref: Annotated[Path | None, typer.Option(help="Reference picture, if it is about a pair.")] = None,
    redraw: Annotated[int, typer.Option(min=2, help="Draws to be drawn again, chosen at random.")] = 50,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="By how much a redrawn score may differ, of the scores' standard deviation."
        ),
    ] = 0.02,
    metric: Metric = None,
    denoiser: Denoiser = None,
    engine: options.Engine = "auto",
    device: options.Devices = None,
    threads: options.Threads = None,
    background: options.Background = "0.5",
    max_memory: MaxMemory = 1024,
    as_json: options.Json = False,
) -> None:
    """Check a certificate: its sha256 and arithmetic, and with the picture, metric and draws as well.

    --metric and --denoiser say where to find them, if not in this installation. Pictures larger than the one
    that was certified are reduced to its size. Exit code: 0 it holds,
    1 it is refused, 2 it could not be checked.
    """
    from birqa.certify import verification
    from birqa.certify.certificate import CertificateError, check_picture, load_certificate
    from birqa.certify.identity import identify
    from birqa.certify.words import describe, interval_in_words
    from birqa.images import load_image, reduce_to

    levels = options.parse_background(background)
    checked: list[str] = []
    record: dict[str, Any] = {"holds": True, "reason": None, "checked": checked, "unchecked": []}
    record["redrawn"] = 0
    try:
        certificate = load_certificate(file)
        checked.append("the file is as it was written, by its sha256, which is no signature")
        certificate.recheck()
        checked.append(f"the interval follows from the {len(certificate.scores):,} draws that it states")
        record |= summary(certificate)
        if photo is None:
            record["unchecked"] = [
                "whether picture, metric and draws are what it states, so that all of it may be made up: "
                "give the picture"
            ]
        else:
            shorter_side = certificate.picture.shorter_side
            whole = load_image(photo, background=levels)
            pixels = reduce_to(whole, shorter_side)
            check_picture(certificate, identify(pixels))
            height, width = pixels.shape[:2]
            reduced = "" if pixels is whole else f", reduced to {width} x {height}"
            checked.append(f"the picture is {photo}{reduced}")
            subject = verification.subject_of(
                certificate,
                metric,
                denoiser,
                None if ref is None else reduce_to(load_image(ref, background=levels), shorter_side),
                engine=engine,
                device=device,
                threads=threads,
            )
            with options.progress_bar("Drawing again") as progress:
                redrawn = verification.redraw(
                    certificate,
                    subject,
                    pixels,
                    redraw,
                    tolerance=tolerance,
                    memory=max_memory * 2**20,
                    progress=progress,
                )
            record["redrawn"] = redrawn.count
            checked += _after_redrawing(subject.metric.sha256 is not None, redrawn)
            ends = verification.withstanding(certificate, redrawn.unnoticed, redrawn.allowed)
            worst = (
                "with fewer made up than that and the others" if redrawn.unnoticed else "with draws that are"
            )
            checked.append(
                f"{worst} off by {redrawn.allowed:.1g}, which would have passed, the score lies in "
                f"{interval_in_words(*ends)}"
            )
            record["unchecked"] = [
                *([] if subject.metric.sha256 else [f"whether {subject.metric} is still the same code"]),
                "whether the maker tried several seeds, numbers of draws, radii or pictures and kept what "
                "pleased: certify anew, with a seed of your own, for that",
            ]
    except CertificateError as error:
        record |= {"holds": False, "reason": str(error)}
    if as_json:
        print(json.dumps(record, indent=1))
    elif record["holds"]:
        drawn = "holds" if record["redrawn"] else "adds up; its draws are not checked without the picture"
        print(f"{file} {drawn}")
        for label, text in [
            *describe(certificate),
            *(("checked", text) for text in checked),
            *(("not checked", text) for text in record["unchecked"]),
        ]:
            print(f"  {label:15}{text}")
    if not record["holds"]:
        print(f"birqa: refused: {naming(file, record['reason'])}", file=sys.stderr)
    raise typer.Exit(0 if record["holds"] else 1)


def _after_redrawing(weights_known: bool, redrawn: Any) -> list[str]:
    which = "metric and denoiser are the ones stated" if weights_known else "the metric has the stated name"
    again = f"{redrawn.count:,} of {redrawn.n:,} draws came out again, to within {redrawn.difference:.1g}"
    if redrawn.count < redrawn.n:
        again += f"; had more than {redrawn.noticed:.1%} been made up, one would have shown with 95 %"
    return [which, again]
