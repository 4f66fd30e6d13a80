"""Which picture is compared with which: from files, folders or a CSV list."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from birqa.files import visible_files

IMAGE_SUFFIXES = frozenset(
    {
        *(".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm"),
        *(".jxl", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
    }
)
"""Lower-case suffixes of the files that are taken from a folder; a file named outright may have any."""


Match = Literal["path", "name", "prefix"]
"""What pictures of two folders have in common that go together; see `pair_inputs`."""


class PairingError(ValueError):
    """The inputs give no pairs; the message is one sentence: which input, what is wrong, how to mend it."""


@dataclass(frozen=True)
class Pair:
    """A distorted picture and the reference that it is compared with."""

    ref: Path
    dist: Path


def pair_inputs(ref: Path, dist: Sequence[Path], match: Match = "path") -> tuple[list[Pair], list[Path]]:
    """Pair reference and distorted inputs; returns the pairs and the sorted files left without partner.

    - ``ref`` a file: it is paired with every file in ``dist`` and, folder by folder, with every picture
      found in folders in ``dist`` (except itself). Nothing is left over.
    - ``ref`` a folder: ``dist`` must be one folder. Pictures of both go together where ``match`` says that
      they agree: by ``path`` inside the folder without suffix, so ``ref/a/x.png`` goes with ``dist/a/x.jpg``
      and ``dist/a/x.webp``; by ``name`` without suffix, in whatever folders below, so it goes with
      ``dist/q30/x.jpg`` too; by ``prefix``, where more may follow the name after a character that is no
      letter or digit, so it goes with ``dist/x_q30.jpg`` too, unless there is a reference of a longer name
      that fits. Of references named alike, the one counts whose folders the picture is in as well. Of a
      folder inside the other one, files count for the inner one. Pictures without partner are the second
      item.

    Folders are searched recursively, linked ones too, for files with one of `IMAGE_SUFFIXES`, in sorted
    order, leaving out hidden files and folders.

    Raises:
        PairingError: the reference or the only distorted input is missing, a folder holds no pictures, a
            folder is paired with something else than one folder, two references differ in suffix only, or
            nothing matches.
    """
    ref, dist = Path(ref), [Path(path) for path in dist]
    if not dist:
        raise PairingError("no distorted picture is given: name a file or a folder after the reference")
    # One missing picture of many is told when its turn comes, as any that cannot be read.
    for path in (ref, *(dist if len(dist) == 1 else ())):
        if not os.path.exists(path):  # unlike Path.exists, False in a folder that may not be searched
            raise PairingError(f"{path} does not exist: check the path")

    if not ref.is_dir():
        pairs = []
        for path in dist:
            if path.is_dir():
                found = [file for file in _pictures(path) if os.path.realpath(file) != os.path.realpath(ref)]
                if not found:
                    raise PairingError(f"folder {path} holds no picture but the reference: check the path")
                pairs += [Pair(ref, file) for file in found]
            else:
                pairs.append(Pair(ref, path))
        return pairs, []

    if len(dist) != 1 or not dist[0].is_dir():
        raise PairingError(f"the reference {ref} is a folder: give exactly one folder of distorted pictures")
    refs, dists = _apart(ref, dist[0])
    named: dict[str, list[Path]] = {}
    for file in refs:
        named.setdefault(_key(file, ref, match), []).append(file)
    pairs = []
    for file in dists:
        key = _key(file, dist[0], match)
        if match == "prefix":
            key = next((part for part in _beginnings(key) if part in named), key)
        partners = named.get(key, [])
        if len(partners) > 1 and match != "path":
            partners = _nearest(partners, file, ref, dist[0])
        if len(partners) > 1:
            raise PairingError(
                f"{partners[0]} and {partners[1]} are named alike, so which one is the reference of {file} "
                "is unclear: keep one of them"
            )
        pairs += [Pair(one, file) for one in partners]
    if not pairs:
        raise PairingError(f"no picture in {dist[0]} has {_AGREEMENT[match]} of one in {ref}: {hint(match)}")
    pairs.sort(key=lambda pair: (pair.ref.relative_to(ref).with_suffix(""), pair.dist))
    paired = {file for pair in pairs for file in (pair.ref, pair.dist)}
    return pairs, sorted({*refs, *dists} - paired)


_AGREEMENT: dict[Match, str] = {
    "path": "the path inside the folder",
    "name": "the name",
    "prefix": "the beginning of the name",
}


def hint(match: Match) -> str:
    """What other ways there are to match files that found no partner."""
    if match == "prefix":
        return "x.png goes with x.jpg, x_q30.jpg and the like, in folders below as well"
    wider = "" if match == "name" else "--match name looks in all folders below, "
    return f"{wider}--match prefix takes x_q30.jpg for a version of x.png as well"


def read_pairs_csv(path: Path) -> list[Pair]:
    """Read pairs from a comma-separated UTF-8 file (a BOM is tolerated) with a header line.

    The columns ``ref`` and ``dist`` (in any case and order) are used, others ignored; blank lines are
    skipped. Relative paths start at the folder of the CSV, those of a pipe where the program runs. Whether
    the pictures exist is not checked.

    Raises:
        PairingError: the file is missing, unreadable, not UTF-8 or empty; it lacks a column or a value, has
            one too many, or has no rows.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [column.strip().casefold() for column in next(reader, [])]
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except FileNotFoundError:
        raise PairingError(f"{path} does not exist: check the path") from None
    except UnicodeDecodeError:
        raise PairingError(f"{path} is not UTF-8 text: save it as UTF-8 CSV with columns ref,dist") from None
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PairingError(f"{path} cannot be read ({reason}): give a CSV with columns ref,dist") from None

    if not any(header):
        raise PairingError(f"{path} is empty or lacks a header line: the columns ref,dist are needed")
    if not {"ref", "dist"} <= set(header):
        hint = "; separate them by commas" if len(header) == 1 and ";" in header[0] else ""
        raise PairingError(f"{path} has the columns {', '.join(header)}, but ref and dist are needed{hint}")
    twice = [column for column in ("ref", "dist") if header.count(column) > 1]
    if twice:
        raise PairingError(f"{path} has the column {twice[0]} twice: name each once")
    at_ref, at_dist = header.index("ref"), header.index("dist")
    folder = path.parent if path.is_file() else Path()
    pairs = []
    for line, cells in rows:
        if not any(cells):
            continue
        if any(cells[len(header) :]):
            raise PairingError(
                f"{path} has more values than columns in line {line}: put names with commas between quotes"
            )
        cells += [""] * (len(header) - len(cells))
        if not cells[at_ref] or not cells[at_dist]:
            raise PairingError(f"{path} has no ref or no dist in line {line}: fill in both")
        pairs.append(Pair(folder / cells[at_ref], folder / cells[at_dist]))
    if not pairs:
        raise PairingError(f"{path} has a header but no rows: add a line for each pair of pictures")
    return pairs


def list_pictures(inputs: Sequence[Path]) -> list[Path]:
    """Files as they are named, and the pictures in folders, sorted, searched as in `pair_inputs`.

    Raises PairingError for a folder without pictures, or where all there is to list is missing.
    """
    found: list[Path] = []
    for path in inputs:
        if len(inputs) == 1 and not os.path.exists(path):
            raise PairingError(f"{path} does not exist: check the path")
        found += _pictures(path) if path.is_dir() else [path]
    return found


def _pictures(folder: Path) -> list[Path]:
    found = visible_files(folder, IMAGE_SUFFIXES)
    if not found:
        raise PairingError(f"folder {folder} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return found


def _apart(ref: Path, dist: Path) -> tuple[list[Path], list[Path]]:
    """The pictures of both folders; those of a folder inside the other one are listed once, for the inner."""
    refs, dists = _pictures(ref), _pictures(dist)
    above, below = os.path.realpath(ref), os.path.realpath(dist)
    if below.startswith(above + os.sep):
        refs = _without(refs, dists)
    elif above.startswith(below + os.sep):
        dists = _without(dists, refs)
    return refs, dists


def _without(files: list[Path], others: list[Path]) -> list[Path]:
    listed = {os.path.realpath(file) for file in others}
    return [file for file in files if os.path.realpath(file) not in listed]


def _key(file: Path, folder: Path, match: Match) -> str:
    name = file.relative_to(folder).with_suffix("").as_posix() if match == "path" else file.stem
    # Some systems write accents as characters of their own.
    return unicodedata.normalize("NFC", name)


def _nearest(partners: list[Path], file: Path, ref: Path, dist: Path) -> list[Path]:
    """Of references that are named alike, the one that has most folders on its way in common with the file:
    scene1/001.png for scene1/q30/001.png. All of them, where that does not decide."""
    way = set(file.parent.relative_to(dist).parts)
    shared = [len(way.intersection(one.parent.relative_to(ref).parts)) for one in partners]
    best = [one for one, count in zip(partners, shared, strict=True) if count == max(shared)]
    return best if len(best) == 1 else partners


def _beginnings(name: str) -> Iterator[str]:
    """The name, then its beginnings that end before a character that is no letter or digit, longest first."""
    yield name
    for end in range(len(name) - 1, 0, -1):
        # Marks belong to the letter before them.
        if not (name[end].isalnum() or unicodedata.category(name[end]).startswith("M")):
            yield name[:end]
