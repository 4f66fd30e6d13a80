"""birqa verify: do certificates hold what they say?"""

import json
import math
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from birqa.cli import options
from birqa.cli.certify import Denoiser, MaxMemory, Metric, summary
from birqa.files import naming, visible_files

if TYPE_CHECKING:
    import numpy as np

    from birqa.certify.certificate import Certificate


def command(
    file: Annotated[
        Path,
        typer.Argument(metavar="CERTIFICATE", help="What birqa certify -o saved, or a folder of that."),
    ],
    photo: Annotated[
        Path | None,
        typer.Argument(
            help="The picture it is about, or a folder that holds it; part of the draws is then drawn again."
        ),
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
    that was certified are reduced to its size. Of a folder of certificates each one is checked, with the
    picture of the name that it states. Exit code: 0 they hold, 1 one is refused, 2 one could not be checked.
    """
    from birqa.batch import NOT_SCORED
    from birqa.certify import verification
    from birqa.certify.certificate import CertificateError, check_picture, load_certificate
    from birqa.certify.identity import identify
    from birqa.certify.words import describe, interval_in_words
    from birqa.images import load_image, reduce_to
    from birqa.pairing import list_pictures

    levels = options.parse_background(background)
    by_name: dict[str, list[Path]] = {}
    if photo is not None and photo.is_dir():
        for path in list_pictures([photo]):
            by_name.setdefault(_comparable(path.name), []).append(path)

    def read(path: Path, certificate: "Certificate") -> "tuple[np.ndarray, np.ndarray]":
        """The whole picture, and as it is compared."""
        whole = load_image(path, background=levels)
        return whole, reduce_to(whole, certificate.picture.shorter_side)

    def find(certificate: "Certificate") -> Path | None:
        """The picture that a certificate is to be checked with."""
        if photo is None or not by_name:
            return photo
        named = by_name.get(_comparable(certificate.picture.file), [])
        if not named:
            raise ValueError(
                f"the certificate is about {certificate.picture.file}, which is not in {photo}: name the "
                "picture itself, if it was given another name."
            )
        for path in named if len(named) > 1 else []:
            with suppress(*NOT_SCORED):
                if certificate.picture.shows(identify(read(path, certificate)[1])):
                    return path
        return named[0]

    def check(file: Path, record: dict[str, Any]) -> list[tuple[str, str]]:
        """Fills the record with what JSON says, gives what people are told; raises CertificateError for what
        is refused."""
        checked: list[str] = record["checked"]
        certificate = load_certificate(file)
        checked.append("the file is as it was written, by its sha256, which is no signature")
        certificate.recheck()
        checked.append(f"the interval follows from the {len(certificate.scores):,} draws that it states")
        record.update(summary(certificate))
        picture = find(certificate)
        if picture is None:
            record["unchecked"] = [
                "whether picture, metric and draws are what it states, so that all of it may be made up: "
                "give the picture"
            ]
        else:
            whole, pixels = read(picture, certificate)
            height, width = pixels.shape[:2]
            reduced = "" if pixels is whole else f", reduced to {width} x {height}"
            try:
                check_picture(certificate, identify(pixels))
            except CertificateError as error:
                before = f"{picture}, {whole.shape[1]} x {whole.shape[0]}{reduced}"
                raise CertificateError(f"{str(error).removesuffix('.')}; compared with {before}.") from None
            checked.append(f"the picture is {picture}{reduced}")
            subject = verification.subject_of(
                certificate,
                metric,
                denoiser,
                None if ref is None else read(ref, certificate)[1],
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
        return [
            *describe(certificate),
            *(("checked", text) for text in checked),
            *(("not checked", text) for text in record["unchecked"]),
        ]

    several = file.is_dir()
    records: list[dict[str, Any]] = []
    for one in _certificates(file) if several else [file]:
        lines: list[tuple[str, str]] = []
        record: dict[str, Any] = {"certificate": str(one), "holds": True, "reason": None}
        record |= {"checked": [], "unchecked": [], "redrawn": 0}
        try:
            lines = check(one, record)
        except CertificateError as error:
            record |= {"holds": False, "reason": str(error)}
            print(f"birqa: refused: {naming(one, record['reason'])}", file=sys.stderr)
        except NOT_SCORED as error:
            if not several and not as_json:
                raise
            record |= {"holds": None, "reason": str(error) or type(error).__name__}
            print(f"birqa: {naming(one, record['reason'])}", file=sys.stderr)
        records.append(record)
        if as_json:
            continue
        if several:
            print(_state(record), _interval(record), options.shown(one), sep="\t", flush=True)
        elif record["holds"]:
            drawn = "holds" if record["redrawn"] else "adds up; its draws are not checked without the picture"
            print(f"{one} {drawn}")
            for label, text in lines:
                print(f"  {label:15}{text}")
    if as_json:
        print(json.dumps(records if several else records[0], indent=1))
    found = {record["holds"] for record in records}
    raise typer.Exit(2 if None in found else 1 if False in found else 0)


def _certificates(folder: Path) -> list[Path]:
    found = visible_files(folder, {".json"})
    if not found:
        raise ValueError(f"folder {folder} holds no certificates (*.json): name what birqa certify -o saved.")
    return found


def _state(record: dict[str, Any]) -> str:
    if not record["holds"]:
        return "refused" if record["holds"] is False else "failed"
    return "holds" if record["redrawn"] else "adds up"


def _interval(record: dict[str, Any]) -> str:
    from birqa.certify.words import interval_in_words

    if "low" not in record:
        return ""
    low, high = (record[end] for end in ("low", "high"))
    return interval_in_words(-math.inf if low is None else low, math.inf if high is None else high)


def _comparable(name: str) -> str:
    """As certificates hold names, accents as one letter."""
    from birqa.certify.identity import printable

    return unicodedata.normalize("NFC", printable(name))


def _after_redrawing(weights_known: bool, redrawn: Any) -> list[str]:
    which = "metric and denoiser are the ones stated" if weights_known else "the metric has the stated name"
    again = f"{redrawn.count:,} of {redrawn.n:,} draws came out again, to within {redrawn.difference:.1g}"
    if redrawn.count < redrawn.n:
        again += f"; had more than {redrawn.noticed:.1%} been made up, one would have shown with 95 %"
    return [which, again]
