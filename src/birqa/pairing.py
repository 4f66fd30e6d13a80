"""Which picture is compared with which: from files, folders or a CSV list."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from birqa.files import walk

IMAGE_SUFFIXES = frozenset(
    {
        *(".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm"),
        *(".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
    }
)
"""Lower-case suffixes of the files that are taken from a folder; a file named outright may have any."""


class PairingError(ValueError):
    """The inputs give no pairs; the message is one sentence: which input, what is wrong, how to mend it."""


@dataclass(frozen=True)
class Pair:
    """A distorted picture and the reference that it is compared with."""

    ref: Path
    dist: Path


def pair_inputs(ref: Path, dist: Sequence[Path]) -> tuple[list[Pair], list[Path]]:
    """Pair reference and distorted inputs; returns the pairs and the sorted files left without partner.

    - ``ref`` a file: it is paired with every file in ``dist`` and, folder by folder, with every picture
      found in folders in ``dist`` (except itself). Nothing is left over.
    - ``ref`` a folder: ``dist`` must be one folder; the pictures of both are paired by relative path without
      suffix, so ``ref/a/x.png`` goes with ``dist/a/x.jpg`` and ``dist/a/x.webp``. Pictures without partner
      are the second item.

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
    refs, dists = _by_stem(ref), _by_stem(dist[0])
    matched = sorted(refs.keys() & dists.keys())
    for stem in matched:
        if len(refs[stem]) > 1:
            raise PairingError(
                f"{refs[stem][0]} and {refs[stem][1]} differ in suffix only, so which one is the reference "
                "is unclear: keep one of them"
            )
    pairs = [Pair(refs[stem][0], file) for stem in matched for file in dists[stem]]
    if not pairs:
        raise PairingError(
            f"no picture in {dist[0]} has the name of one in {ref}: files pair up when their paths inside "
            "the folders agree up to the suffix"
        )
    # By files, not stems: with one folder inside the other a file can be listed on both sides.
    paired = {file for pair in pairs for file in (pair.ref, pair.dist)}
    return pairs, sorted(
        {file for side in (refs, dists) for files in side.values() for file in files} - paired
    )


def read_pairs_csv(path: Path) -> list[Pair]:
    """Read pairs from a comma-separated UTF-8 file (a BOM is tolerated) with a header line.

    The columns ``ref`` and ``dist`` (in any case and order) are used, others ignored; blank lines are
    skipped. Relative paths start at the folder of the CSV. Whether the pictures exist is not checked.

    Raises:
        PairingError: the file is missing, unreadable, not UTF-8 or empty; it lacks a column or a value, or
            has no rows.
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
    at_ref, at_dist = header.index("ref"), header.index("dist")
    pairs = []
    for line, cells in rows:
        if not any(cells):
            continue
        cells += [""] * (len(header) - len(cells))
        if not cells[at_ref] or not cells[at_dist]:
            raise PairingError(f"{path} has no ref or no dist in line {line}: fill in both")
        pairs.append(Pair(path.parent / cells[at_ref], path.parent / cells[at_dist]))
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
    found = []
    for root, folders, files in walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(root, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
        ]
    if not found:
        raise PairingError(f"folder {folder} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return sorted(found)


def _by_stem(folder: Path) -> dict[Path, list[Path]]:
    files: dict[Path, list[Path]] = {}
    for file in _pictures(folder):
        files.setdefault(file.relative_to(folder).with_suffix(""), []).append(file)
    return files
