"""birqa data: rated training and test pictures made from pristine photographs."""

import csv
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(no_args_is_help=True, help="Make rated training and test pictures (needs birqa[data]).")

Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for ref/, dist/ and meta.csv.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")]
Format = Annotated[
    Literal["png", "bmp"], typer.Option("--format", help="bmp is larger and much faster to read.")
]


@app.command("kadid")
def kadid(
    photographs: Annotated[Path, typer.Argument(help="Folder of pristine photographs.")],
    out: Out,
    ratings: Annotated[Path, typer.Option(help="KADID-10k's ratings: ref,type,level,quality.")],
    manifest: Annotated[
        Path | None, typer.Option(help="CSV with file,split; only the files it lists are taken.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only this split of the manifest.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many photographs, by name.")] = None,
    image_format: Format = "png",
    workers: Workers = None,
    seed: int = 0,
) -> None:
    """KADID-10k's 25 distortions x 5 levels on your photographs, with its mean human ratings as labels."""
    from birqa.data.synthesis import build_kadid
    from birqa.pairing import IMAGE_SUFFIXES

    if manifest is None:
        files = sorted(path for path in photographs.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        splits = {}
    else:
        listed = _read_manifest(manifest)
        files = sorted(photographs / name for name, part in listed.items() if split in (None, part))
        splits = {Path(name).stem: part for name, part in listed.items()}
    files = files[:limit]
    meta = build_kadid(
        files,
        out,
        ratings_csv=ratings,
        image_format=image_format,
        seed=seed,
        workers=workers,
        split_of=splits,
        progress=_report,
    )
    print(f"{meta}: {len(files)} photographs, {125 * len(files)} pairs")


def _read_manifest(path: Path) -> dict[str, str]:
    """file -> split."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"file", "split"} <= set(reader.fieldnames or []):
            raise ValueError(f"{path}: the columns file and split are needed.")
        return {row["file"]: row["split"] for row in reader}


@app.command("tid2013")
def tid2013(
    kodak: Annotated[Path, typer.Argument(help="Folder of the 24 Kodak photographs, kodim01..kodim24.")],
    out: Out,
    ratings: Annotated[Path, typer.Option(help="TID2013's ratings: ref,type,level,quality.")],
    image_format: Format = "png",
    workers: Workers = None,
    seed: int = 0,
) -> None:
    """The nearly exact types of TID2013, made again on its own references, with its per-image ratings."""
    from birqa.data.synthesis import build_tid2013

    meta = build_tid2013(
        kodak,
        out,
        ratings_csv=ratings,
        image_format=image_format,
        seed=seed,
        workers=workers,
        progress=_report,
    )
    print(meta)


def _report(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{total} references", end="\n" if done == total else "", file=sys.stderr, flush=True)
