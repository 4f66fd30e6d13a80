"""birqa distort: one photograph, damaged as in the rated databases."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from birqa.cli import options

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from birqa.data.distortions import Distortion
    from birqa.data.distortions._pixels import Image

FORMATS = {".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}
SMALLEST = 32
TILE = 192
HEADER = 16


def command(
    photo: Annotated[Path, typer.Argument(help="Picture to damage.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Picture to write (PNG, BMP, TIFF), or with --grid a folder for every picture, whole, and "
            "the sheet.",
            show_default="PHOTO-TYPE-LEVEL.png here, or PHOTO-grid.png",
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="Number or name, such as 10, jpeg or gaussian-blur.")
    ] = None,
    level: Annotated[int | None, typer.Option(min=1, max=5, help="1 to 5, mostly mild to strong.")] = None,
    database: Annotated[
        Literal["kadid10k", "tid2013"], typer.Option(help="Whose distortions: KADID-10k or TID2013.")
    ] = "kadid10k",
    grid: Annotated[
        bool, typer.Option("--grid", help="One sheet of all types and levels, on the picture shrunk.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of distortions with a random part.")] = 0,
) -> None:
    """Damage a photograph by one of the distortions of KADID-10k or TID2013."""
    from birqa.data.distortions import KADID10K, TID2013
    from birqa.data.distortions._pixels import to_uint8
    from birqa.data.distortions.lookup import find_distortion
    from birqa.data.synthesis import random_generator
    from birqa.files import replacing
    from birqa.images import load_image, to_float

    if grid == (level is not None):
        raise ValueError("give either --level, for one picture, or --grid, for a sheet of all levels")
    if kind is None and not grid:
        raise ValueError("--type is missing: give a number or name, or --grid to see them all")

    registry, other = (KADID10K, TID2013) if database == "kadid10k" else (TID2013, KADID10K)
    chosen = list(registry.values()) if kind is None else [find_distortion(registry, kind, other)]
    if out is None:
        out = Path(f"{photo.stem}-{'grid' if grid else f'{_file_name(chosen[0])}-{level}'}.png")
    folder = grid and not out.suffix
    if not folder and out.suffix.lower() not in FORMATS:
        raise ValueError(f"{out}: name the picture {', '.join(FORMATS)}, which lose nothing")
    options.check_output(out, [photo], folder=folder)
    every = [(item, step) for item in chosen for step in range(1, 6)]

    def place(item: "Distortion", step: int) -> Path:
        return out / f"{item.number:02}-{_file_name(item)}-{step}.png"

    sheet_file = out / "sheet.png" if folder else out
    if out.is_dir():
        for file in (sheet_file, *(place(*one) for one in every)):
            options.check_output(file, [photo])
    whole = to_float(load_image(photo))
    image = _shrink(whole) if grid else whole
    if min(image.shape[:2]) < SMALLEST:
        size = f"{image.shape[1]}x{image.shape[0]}"
        shrunk = "on the sheet it would be" if grid else "it is"
        raise ValueError(f"{photo}: {shrunk} {size}, but distortions need at least {SMALLEST}x{SMALLEST}")

    def damaged(image: "Image", distortion: "Distortion", level: int) -> "Picture":
        from PIL import Image as PillowImage

        rng = random_generator(seed, photo.stem, distortion.number, level)
        return PillowImage.fromarray(to_uint8(distortion.apply(image, level, rng)))

    def save(picture: "Picture", path: Path) -> None:
        with replacing(path) as part:
            picture.save(part, format=FORMATS[path.suffix.lower()])
        print(path)

    if level is not None:
        save(damaged(image, chosen[0], level), out)
        return
    if folder:
        out.mkdir(parents=True, exist_ok=True)
        for item, step in every:
            save(damaged(whole, item, step), place(item, step))
    sheet = _sheet([(item, [damaged(image, item, step) for step in range(1, 6)]) for item in chosen])
    save(sheet, sheet_file)


def _file_name(distortion: "Distortion") -> str:
    return re.sub(r"\W+", "-", distortion.name.lower())


def _shrink(image: "Image") -> "Image":
    from birqa.images import resize_to

    height, width = image.shape[:2]
    scale = min(1.0, TILE / max(height, width))
    return resize_to(image, (max(1, round(scale * height)), max(1, round(scale * width))))


def _sheet(rows: list[tuple["Distortion", list["Picture"]]]) -> "Picture":
    """A row for each type, its name above it, the levels from left to right."""
    from PIL import Image as PillowImage
    from PIL import ImageDraw

    width, height = rows[0][1][0].size
    gap = 4
    sheet = PillowImage.new("RGB", (5 * (width + gap) + gap, len(rows) * (height + HEADER + gap)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (distortion, pictures) in enumerate(rows):
        top = row * (height + HEADER + gap)
        draw.text((gap, top + 2), f"{distortion.number}  {distortion.name}", fill="black")
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (gap + column * (width + gap), top + HEADER))
    return sheet
