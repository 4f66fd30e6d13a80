"""Training and test pictures made from the distortions and ratings of KADID-10k and TID2013.

`build_kadid` distorts any pristine photographs as KADID-10k does and labels each result with the mean rating
of its (type, level) cell; `build_combined` applies two of those distortions in turn and `build_varied` others
of random strength, which nobody has rated; `build_tid2013` re-makes TID2013's own pictures from the Kodak
photographs and labels each with its own rating. All write `ref/`, `dist/` and `meta.csv`.
"""

import csv
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image as PillowImage

from birqa.data.distortions import KADID10K, LEVELS, TID2013, TID2013_EXACT, Distortion
from birqa.data.distortions._pixels import Image, from_uint8, to_uint8
from birqa.data.distortions.varied import FAMILIES, draw_family
from birqa.files import replacing
from birqa.images import load_image, to_float
from birqa.ratings import read_table
from birqa.workers import start_workers

ImageFormat = Literal["png", "bmp"]
Progress = Callable[[int, int], None]
"""Called with the number of finished references and the number of all of them."""

COLUMNS = ("ref", "dist", "mos", "std", "type", "level", "split")

TID2013_CROP_SIZE = (512, 384)
TID2013_CROPS = (
    (104, 126), (83, 30), (73, 44), (0, 206), (104, 21), (66, 43), (153, 93), (71, 4),
    (0, 292), (0, 337), (252, 55), (131, 40), (119, 41), (147, 93), (236, 56), (121, 8),
    (0, 74), (0, 150), (0, 255), (57, 61), (28, 60), (59, 33), (66, 47), (65, 116),
)  # fmt: skip
"""Left and top of TID2013's references 1..24 within the Kodak pictures of the same number."""

TID2013_REFERENCES = 25
"""The last of them is no photograph of Kodak's."""

COMBINED_LEVEL_ODDS = {1: 0.35, 2: 0.3, 3: 0.2, 4: 0.15}
"""Two strong distortions leave nothing to rank, so mild levels are drawn more often."""

_DATABASES = {"KADID-10k": KADID10K, "TID2013": TID2013}
_FORMATS = ("png", "bmp")

Step = tuple[int, int]
"""(type, level)."""


@dataclass(frozen=True)
class _Picture:
    """A distorted picture: its file name, the distortions in turn, and what its randomness is drawn from.

    With a `family` of `varied`, that one is applied instead of steps.
    """

    file: str
    steps: tuple[Step, ...]
    key: str
    family: str = ""


@dataclass(frozen=True)
class _Job:
    """Everything a worker needs for one reference; `crop` is (left, top, width, height)."""

    source: Path
    out: Path
    database: str
    pictures: tuple[_Picture, ...]
    image_format: ImageFormat
    seed: int
    crop: tuple[int, int, int, int] | None = None


def build_kadid(
    references: Sequence[Path],
    out: Path,
    *,
    ratings_csv: Path,
    image_format: ImageFormat = "png",
    seed: int = 0,
    workers: int | None = None,
    split_of: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Distort every reference with KADID-10k's 25 types at 5 levels and return the path of `meta.csv`.

    `mos` is the mean rating of the (type, level) cell over KADID-10k's references, `std` the standard
    deviation of the ratings about it. `split_of` maps the stem of a reference's file name to its split (empty
    where it has none). Pictures that exist already are kept, so a broken run is resumed by running it again;
    `sources.json` says what each reference was made of, and ValueError is raised where that was another
    photograph or seed. `meta.csv` is written last and covers exactly `references`. One process per CPU core
    unless `workers` says otherwise; in a script, call this under `if __name__ == "__main__":`.
    """
    _check_sources(references)
    cells = read_cells(ratings_csv, KADID10K)
    jobs = [
        _Job(path, out, "KADID-10k", _grid(path.stem, KADID10K, image_format), image_format, seed)
        for path in references
    ]
    _run(jobs, workers, progress)

    splits = split_of or {}
    rows = (
        (
            f"ref/{path.stem}.{image_format}",
            f"dist/{_dist_name(path.stem, number, level, image_format)}",
            f"{mean:.6f}",
            f"{deviation:.6f}",
            number,
            level,
            splits.get(path.stem, ""),
        )
        for path in references
        for number, level in product(KADID10K, LEVELS)
        for mean, deviation in [cells[number, level]]
    )
    return _write_meta(out / "meta.csv", rows)


def build_tid2013(
    kodak: Path,
    out: Path,
    *,
    ratings_csv: Path,
    types: Iterable[int] = tuple(TID2013_EXACT),
    image_format: ImageFormat = "png",
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Re-make TID2013's references 1..24 and their distorted versions and return the path of `meta.csv`.

    `kodak` is the folder of the whole Kodak photographs, kodim01 to kodim24, portrait ones upright; `types`
    may name any of the 24, of which only those of the default are nearly exact. `mos` is each picture's own
    rating, `std` stays empty and `split` is "test": what is trained on it can no longer be
    judged by it. Resumes like `build_kadid`.
    """
    types = tuple(types)
    unknown = sorted(set(types) - set(TID2013))
    if unknown:
        raise ValueError(f"TID2013 type {unknown[0]} cannot be re-made; choose from 1 to {max(TID2013)}")
    ratings = dict(_read_ratings(ratings_csv, ("ref", "type", "level", "quality")))
    sources = _kodak_sources(kodak)
    numbers = range(1, len(TID2013_CROPS) + 1)
    wanted = [(number, kind, level) for number in numbers for kind in types for level in LEVELS]
    for key in wanted:
        if key not in ratings:
            raise ValueError(
                f"{ratings_csv} has no rating for reference {key[0]}, type {key[1]}, level {key[2]}; "
                "use the complete TID2013 table"
            )
    for number, kind, level in ratings:
        if not (1 <= number <= TID2013_REFERENCES and kind in TID2013 and level in LEVELS):
            raise ValueError(
                f"{ratings_csv} rates reference {number}, type {kind}, level {level}, which TID2013 does not "
                "have: give TID2013's own table, not another database's"
            )
    jobs = [
        _Job(sources[number], out, "TID2013", _grid(sources[number].stem, types, image_format),
             image_format, seed, (*TID2013_CROPS[number - 1], *TID2013_CROP_SIZE))
        for number in numbers
    ]  # fmt: skip
    _run(jobs, workers, progress)

    rows = (
        (
            f"ref/{sources[number].stem}.{image_format}",
            f"dist/{_dist_name(sources[number].stem, kind, level, image_format)}",
            f"{ratings[number, kind, level]:.6f}",
            "",
            kind,
            level,
            "test",
        )
        for number, kind, level in wanted
    )
    return _write_meta(out / "meta.csv", rows)


def build_combined(
    references: Sequence[Path],
    out: Path,
    *,
    count: int,
    image_format: ImageFormat = "png",
    seed: int = 0,
    workers: int | None = None,
    split_of: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Give every reference `count` versions with two different KADID-10k distortions in turn.

    Types are drawn evenly, levels by `COMBINED_LEVEL_ODDS`. In `meta.csv`, whose path is returned, `mos` is
    empty, and `type` and `level` read "11+3" and "2+4" in the order of application. Resumes like
    `build_kadid`.
    """

    def draw(name: str) -> _Picture:
        return _Picture(name, _draw_steps(random_generator(seed, name, 0, 0)), name)

    def describe(picture: _Picture) -> tuple[str, str]:
        kinds, levels = zip(*picture.steps, strict=True)
        return "+".join(map(str, kinds)), "+".join(map(str, levels))

    jobs = _draw_jobs(references, out, "KADID-10k", "combined", count, draw, image_format, seed)
    return _make_unrated(jobs, describe, workers, split_of, progress)


def build_varied(
    references: Sequence[Path],
    out: Path,
    *,
    count: int,
    families: Sequence[str] = (),
    image_format: ImageFormat = "png",
    seed: int = 0,
    workers: int | None = None,
    split_of: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Give every reference `count` versions by the `families` of `birqa.data.distortions.varied`, or by all.

    In `meta.csv`, whose path is returned, `mos` is empty, `type` names the types of KADID-10k that are most
    alike as "11|12|14", and `level` the family. Resumes like `build_kadid`. Raises ValueError for a family
    that does not exist.
    """
    unknown = [name for name in families if name not in FAMILIES]
    if unknown:
        raise ValueError(f"there is no family {unknown[0]!r}; choose from {', '.join(FAMILIES)}")
    label = "_".join(["varied", *(name.replace(" ", "-") for name in families)])

    def draw(name: str) -> _Picture:
        return _Picture(name, (), name, draw_family(random_generator(seed, name, 0, 0), families))

    def describe(picture: _Picture) -> tuple[str, str]:
        return "|".join(map(str, FAMILIES[picture.family].kin)), picture.family

    jobs = _draw_jobs(references, out, "", label, count, draw, image_format, seed)
    return _make_unrated(jobs, describe, workers, split_of, progress)


def read_cells(path: Path, needed: Iterable[int] = ()) -> dict[tuple[int, int], tuple[float, float]]:
    """Mean and standard deviation of `quality` over the references, for every (type, level) of the table.

    Raises ValueError where a type of `needed` is not rated at every level, or a cell is not a number.
    """
    qualities: dict[tuple[int, ...], list[float]] = {}
    for cell, quality in _read_ratings(path, ("type", "level", "quality")):
        qualities.setdefault(cell, []).append(quality)
    for number, level in product(needed, LEVELS):
        if (number, level) not in qualities:
            raise ValueError(
                f"{path} has no rating for type {number}, level {level}; "
                "use the complete table of the database"
            )
    return {
        (kind, level): (float(np.mean(values)), float(np.std(values)))
        for (kind, level), values in qualities.items()
    }


def random_generator(seed: int, stem: str, number: int, level: int) -> np.random.Generator:
    """The generator of one picture: the same on every machine and whatever else is made in the same run."""
    digest = hashlib.sha256(f"{stem}/{number}/{level}".encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, "<u4").tolist()])


def _read_ratings(path: Path, columns: Sequence[str]) -> list[tuple[tuple[int, ...], float]]:
    """Of each row the whole numbers of the columns, and the rating in the last of them."""
    if not path.is_file():
        raise FileNotFoundError(
            f"ratings table {path} not found; pass the CSV with columns {', '.join(columns)}"
        )
    header, rows = read_table(path)
    absent = [column for column in columns if column not in header]
    if absent:
        raise ValueError(f"{path} lacks the column {absent[0]!r}; it needs {', '.join(columns)}")
    *places, rating = columns
    ratings = []
    for line, row in rows:
        try:
            place, quality = tuple(int(row[column]) for column in places), float(row[rating])
        except (TypeError, ValueError):
            quality = math.nan
        if not math.isfinite(quality):
            raise ValueError(f"{path}, line {line}: {', '.join(columns)} are not all numbers")
        ratings.append((place, quality))
    return ratings


def _check_sources(references: Sequence[Path]) -> None:
    if not references:
        raise ValueError("no reference photographs given; pass at least one image file")
    stems: dict[str, Path] = {}
    for path in references:
        if not path.is_file():
            raise FileNotFoundError(f"reference photograph {path} not found; check the path")
        if path.stem in stems:
            raise ValueError(
                f"{stems[path.stem]} and {path} share the name {path.stem!r} and would overwrite each other; "
                "rename one"
            )
        stems[path.stem] = path


def _kodak_sources(folder: Path) -> dict[int, Path]:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"Kodak folder {folder} not found; pass the folder that holds kodim01 to kodim24"
        )
    sources = {}
    for number in range(1, len(TID2013_CROPS) + 1):
        found = sorted(folder.glob(f"kodim{number:02d}.*"))
        if not found:
            raise FileNotFoundError(f"{folder} has no kodim{number:02d}; put all 24 Kodak photographs there")
        sources[number] = found[0]
    return sources


def _run(jobs: Sequence[_Job], workers: int | None, progress: Progress | None) -> None:
    if jobs[0].image_format not in _FORMATS:
        raise ValueError(f"image format {jobs[0].image_format!r} is not lossless here; choose png or bmp")
    for folder in ("ref", "dist"):
        (jobs[0].out / folder).mkdir(parents=True, exist_ok=True)
    _record_sources(jobs)
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count == 1:
        for done, job in enumerate(jobs, 1):
            _make_reference(job)
            if progress:
                progress(done, len(jobs))
        return
    with start_workers(count, cv2.setNumThreads, 1) as pool:
        for done, _ in enumerate(pool.map(_make_reference, jobs), 1):
            if progress:
                progress(done, len(jobs))


def _record_sources(jobs: Sequence[_Job]) -> None:
    """Raises ValueError where pictures would be kept that were made from something else."""
    path = jobs[0].out / "sources.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for job in jobs:
        made_of = {
            "sha256": hashlib.sha256(job.source.read_bytes()).hexdigest(),
            "seed": job.seed,
            "database": job.database,
            "crop": job.crop and list(job.crop),
        }
        reference = _reference(job)
        kept = [reference, *(job.out / "dist" / picture.file for picture in job.pictures)]
        # Records from before database and crop were told lack them.
        before = made_of | record.get(reference.name, {})
        if before != made_of and any(file.exists() for file in kept):
            if before["sha256"] != made_of["sha256"]:
                what = f"another {job.source.name}"
            elif before["seed"] != made_of["seed"]:
                what = f"seed {before['seed']}"
            else:
                what = f"{job.source.name} for {before['database']}"
            raise ValueError(
                f"{job.out} holds pictures made from {what}: choose another folder, or delete this one"
            )
        record[reference.name] = made_of
    with replacing(path) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _reference(job: _Job) -> Path:
    return job.out / "ref" / f"{job.source.stem}.{job.image_format}"


def _make_reference(job: _Job) -> None:
    registry: dict[int, Distortion] = _DATABASES.get(job.database, {})
    missing = [picture for picture in job.pictures if not (job.out / "dist" / picture.file).exists()]
    reference = _reference(job)
    if not missing and reference.exists():
        return
    image = _load(job.source, job.crop)
    for picture in missing:
        distorted = image
        if picture.family:
            rng = random_generator(job.seed, picture.key, 1, 0)
            distorted = FAMILIES[picture.family].function(image, rng)
        for number, level in picture.steps:
            rng = random_generator(job.seed, picture.key, number, level)
            distorted = registry[number].apply(distorted, level, rng)
        _save(distorted, job.out / "dist" / picture.file)
    if not reference.exists():
        _save(image, reference)


def _load(path: Path, crop: tuple[int, int, int, int] | None) -> Image:
    # Deep pictures too are damaged as their reference is stored, at 8 bits.
    image = from_uint8(to_uint8(to_float(load_image(path))))
    if crop is None:
        return image
    left, top, width, height = crop
    if image.shape[1] < left + width or image.shape[0] < top + height:
        raise ValueError(
            f"{path} is {image.shape[1]}x{image.shape[0]}, too small for the crop {width}x{height} "
            f"at ({left}, {top}); use the original Kodak photographs, portrait ones upright"
        )
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _save(image: Image, path: Path) -> None:
    # A killed run must not leave half a picture under the final name, which resuming would keep; a power cut
    # may, which saves waiting for the disk thousands of times.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    options = {"compress_level": 1} if path.suffix == ".png" else {}
    try:
        PillowImage.fromarray(to_uint8(image)).save(temporary, format=path.suffix[1:].upper(), **options)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _draw_jobs(
    references: Sequence[Path],
    out: Path,
    database: str,
    label: str,
    count: int,
    draw: Callable[[str], _Picture],
    image_format: ImageFormat,
    seed: int,
) -> list[_Job]:
    """`count` pictures of each reference, drawn by their file names, which carry the `label`."""
    _check_sources(references)
    return [
        _Job(
            path,
            out,
            database,
            tuple(draw(f"{path.stem}_{label}_{index:03d}.{image_format}") for index in range(count)),
            image_format,
            seed,
        )
        for path in references
    ]


def _make_unrated(
    jobs: Sequence[_Job],
    describe: Callable[[_Picture], tuple[str, str]],
    workers: int | None,
    split_of: Mapping[str, str] | None,
    progress: Progress | None,
) -> Path:
    """Make the pictures and write `meta.csv`, without ratings; `describe` gives type and level."""
    _run(jobs, workers, progress)
    splits = split_of or {}
    rows = (
        (
            f"ref/{job.source.stem}.{job.image_format}",
            f"dist/{picture.file}",
            "",
            "",
            *describe(picture),
            splits.get(job.source.stem, ""),
        )
        for job in jobs
        for picture in job.pictures
    )
    return _write_meta(jobs[0].out / "meta.csv", rows)


def _dist_name(stem: str, number: int, level: int, image_format: str) -> str:
    return f"{stem}_{number:02d}_{level}.{image_format}"


def _grid(stem: str, types: Iterable[int], image_format: ImageFormat) -> tuple[_Picture, ...]:
    """Every type at every level."""
    return tuple(
        _Picture(_dist_name(stem, number, level, image_format), ((number, level),), stem)
        for number in types
        for level in LEVELS
    )


def _draw_steps(rng: np.random.Generator) -> tuple[Step, Step]:
    first, second = rng.choice(list(KADID10K), 2, replace=False)
    levels = rng.choice(list(COMBINED_LEVEL_ODDS), 2, p=list(COMBINED_LEVEL_ODDS.values()))
    return (int(first), int(levels[0])), (int(second), int(levels[1]))


def _write_meta(path: Path, rows: Iterable[tuple[object, ...]]) -> Path:
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return path
