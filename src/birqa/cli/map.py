"""birqa map: where the damage is, and what each level says."""

from pathlib import Path
from typing import Annotated

import typer

from birqa.cli import options

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WebP"}


def command(
    ref: Annotated[Path, typer.Argument(help="Reference picture.")],
    dist: Annotated[Path, typer.Argument(help="Distorted picture.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Picture to write (PNG, JPEG, WebP).")],
    metric: options.Metric = "birqa",
    engine: options.Engine = "auto",
    device: options.Device = None,
    threads: options.Threads = None,
    resize: options.Resize = "none",
    background: options.Background = "0.5",
    stretch: Annotated[
        bool,
        typer.Option("--stretch", help="Draw quality from its least value to 1, not from 0: slight damage."),
    ] = False,
) -> None:
    """Draw reference, distorted picture, quality map and the reliability of each level."""
    from birqa.batch import load_pair
    from birqa.files import replacing
    from birqa.metric import create_full_reference
    from birqa.pairing import Pair
    from birqa.report.picture import explanation_picture

    if out.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"{out}: name the picture .png, .jpg or .webp")
    options.check_output(out, [ref, dist])
    dist_pixels, ref_pixels = load_pair(Pair(ref, dist), resize, options.parse_background(background))
    scorer = create_full_reference(metric, engine=engine, device=device, threads=threads)
    explanation = scorer.explain(dist_pixels, ref_pixels)
    sheet = explanation_picture(
        ref_pixels,
        dist_pixels,
        explanation,
        f"{scorer.info.name} {scorer.info.version}",
        f"{dist} against {ref}",
        scorer.model.config.shrink,
        stretch,
    )
    with replacing(out) as part:
        sheet.save(part, format=FORMATS[out.suffix.lower()])
    print(f"{explanation.score:.4f}\t{out}")
