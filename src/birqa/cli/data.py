"""birqa data: rated training and test pictures made from pristine photographs."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from birqa.cli import options

app = typer.Typer(
    no_args_is_help=True,
    help="Rated pictures: make them from photographs (needs birqa\\[data]), or read the sets of the field.",
)

Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for ref/, dist/ and meta.csv.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")]
Format = Annotated[
    Literal["png", "bmp"], typer.Option("--format", help="bmp is larger and much faster to read.")
]
Photographs = Annotated[Path, typer.Argument(help="Folder of pristine photographs.")]
Manifest = Annotated[
    Path | None, typer.Option(help="CSV with file,split; only the files it lists are taken.")
]
Split = Annotated[str | None, typer.Option(help="Only this split of the manifest.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many photographs, by name.")]


@app.command("kadid")
def kadid(
    photographs: Photographs,
    out: Out,
    ratings: Annotated[Path, typer.Option(help="KADID-10k's ratings: ref,type,level,quality.")],
    manifest: Manifest = None,
    split: Split = None,
    limit: Limit = None,
    image_format: Format = "png",
    workers: Workers = None,
    seed: int = 0,
) -> None:
    """KADID-10k's 25 distortions x 5 levels on your photographs, with its mean human ratings as labels."""
    from birqa.data.synthesis import build_kadid

    files, splits = _references(photographs, manifest, split, limit)
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


@app.command("combined")
def combined(
    photographs: Photographs,
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="Pictures for each photograph.")] = 32,
    manifest: Manifest = None,
    split: Split = None,
    limit: Limit = None,
    image_format: Format = "png",
    workers: Workers = None,
    seed: int = 0,
) -> None:
    """Two of KADID-10k's distortions in turn on your photographs, without ratings (see `data committee`)."""
    from birqa.data.synthesis import build_combined

    source = photographs, manifest, split, limit
    _unrated(build_combined, source, out, count, image_format=image_format, seed=seed, workers=workers)


@app.command("varied")
def varied(
    photographs: Photographs,
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="Pictures for each photograph.")] = 32,
    family: Annotated[list[str] | None, typer.Option(help="Only this family; may be repeated.")] = None,
    manifest: Manifest = None,
    split: Split = None,
    limit: Limit = None,
    image_format: Format = "png",
    workers: Workers = None,
    seed: int = 0,
) -> None:
    """Distortions of random strength beyond KADID-10k's, on your photographs, without ratings."""
    from birqa.data.synthesis import build_varied

    source = photographs, manifest, split, limit
    make = partial(build_varied, families=tuple(family or ()))
    _unrated(make, source, out, count, image_format=image_format, seed=seed, workers=workers)


@app.command("committee")
def committee(
    tables: Annotated[list[Path], typer.Argument(help="CSV files with ref,dist,mos; mos may be empty.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The labelled table.")],
    peer: Annotated[
        list[str], typer.Option(help="Metric of the committee, such as piq:mdsi; repeat for more.")
    ],
    weight: Annotated[
        float, typer.Option(min=0, max=1, help="The committee's share in the label of a rated pair.")
    ] = 0.5,
    workers: Workers = None,
) -> None:
    """Label pairs by human ratings blended with a committee of classic metrics on the human scale."""
    from birqa.data.committee import label_by_committee

    if out.exists():
        options.check_output(out, tables)
    print(label_by_committee(tables, out, peers=peer, weight=weight, workers=workers, progress=_report))


@app.command("common-scale")
def common_scale(
    tid2013: Annotated[Path, typer.Argument(help="TID2013's ratings: ref,type,level,quality.")],
    kadid10k: Annotated[Path, typer.Argument(help="KADID-10k's ratings, likewise.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the points.")] = False,
) -> None:
    """The ratings of TID2013 that are worst (0) and best (1) on KADID-10k's scale, for `data join`."""
    from birqa.data.joining import find_common_scale

    scale = find_common_scale(tid2013, kadid10k)
    if as_json:
        print(json.dumps(asdict(scale) | {"error": scale.error}))
    else:
        print(f"{scale.worst:.4f} {scale.best:.4f}")


@app.command("join")
def join(
    table: Annotated[Path, typer.Argument(help="CSV with ref,dist,mos,split.")],
    added: Annotated[Path, typer.Argument(help="CSV whose pairs are added, all of them for training.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The joined table.")],
    share: Annotated[
        float,
        typer.Option(
            help="Share of the draws that go to the added references. A batch holds each reference once, so "
            "that a few of them fill less."
        ),
    ],
    mos_range: Annotated[
        tuple[float, float],
        typer.Option(help="Ratings of the added pairs that are 0 and 1 on the scale of the first table."),
    ] = (0.0, 1.0),
) -> None:
    """One table to train on two rated sets, the second set's ratings on the scale of the first."""
    from birqa.data.joining import join_tables

    if out.exists():
        options.check_output(out, [table, added])
    print(join_tables(table, added, out, mos_range=mos_range, share=share))


def _unrated(
    build: Callable[..., Path],
    source: tuple[Path, Path | None, str | None, int | None],
    out: Path,
    count: int,
    **options: Any,
) -> None:
    files, splits = _references(*source)
    meta = build(files, out, count=count, split_of=splits, progress=_report, **options)
    print(f"{meta}: {len(files)} photographs, {count * len(files)} pairs")


def _references(
    photographs: Path, manifest: Path | None, split: str | None, limit: int | None
) -> tuple[list[Path], dict[str, str]]:
    """The chosen files, and the split of each stem."""
    from birqa.pairing import IMAGE_SUFFIXES

    if manifest is None:
        if split is not None:
            raise typer.BadParameter("--split needs --manifest, which says what belongs to which split")
        if not photographs.is_dir():
            raise ValueError(f"{photographs} is no folder: give the folder of the photographs")
        files = sorted(
            path
            for path in photographs.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        )
        return files[:limit], {}
    listed = _read_manifest(manifest)
    wanted = None if split is None else split.strip().lower()
    files = sorted(photographs / name for name, part in listed.items() if wanted in (None, part))
    if not files:
        raise ValueError(f"{manifest} lists no photographs{f' of the split {split!r}' if split else ''}.")
    return files[:limit], {Path(name).stem: part for name, part in listed.items()}


def _read_manifest(path: Path) -> dict[str, str]:
    """file -> split."""
    from birqa.ratings import read_split, read_table

    header, rows = read_table(path)
    if not {"file", "split"} <= set(header):
        raise ValueError(f"{path}: the columns file and split are needed.")
    for line, row in rows:
        if not row["file"]:
            raise ValueError(f"{path}, line {line}: it does not have one value for each column.")
    return {row["file"]: read_split(path, line, row["split"]) for line, row in rows}


@app.command("tid2013")
def tid2013(
    kodak: Annotated[Path, typer.Argument(help="Folder of the 24 Kodak photographs, kodim01..kodim24.")],
    out: Out,
    ratings: Annotated[Path, typer.Option(help="TID2013's ratings: ref,type,level,quality.")],
    types: Annotated[
        Literal["exact", "all"], typer.Option(help="The ten nearly exact types, or all 24.")
    ] = "exact",
    image_format: Format = "png",
    workers: Workers = None,
    seed: int = 0,
) -> None:
    """TID2013, made again on its own references, with its per-image ratings."""
    from birqa.data.distortions import TID2013, TID2013_EXACT
    from birqa.data.synthesis import build_tid2013

    meta = build_tid2013(
        kodak,
        out,
        ratings_csv=ratings,
        types=TID2013 if types == "all" else TID2013_EXACT,
        image_format=image_format,
        seed=seed,
        workers=workers,
        progress=_report,
    )
    print(meta)


def _report(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
