"""Finding the files of a data set, and reading its tables."""

import csv
import io
import math
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from birqa.files import walk
from birqa.ratings import SPLITS

Rows = list[tuple[int, dict[str, str]]]
"""Line number and cells by column."""


class MissingError(Exception):
    """Names what a data set lacks; `read_data_set` adds where to get it."""


class Files:
    """The files under a folder, found by the end of their path in any case of letters.

    Published sets mix cases (TID2013: I01.BMP, i25.bmp), and people unpack them with and without an outer
    folder. Of several matches the one in the fewest folders counts, then the first by name.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise MissingError(f"there is no folder {root}")
        self.root = root
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for folder, _, names in walk(root):
            for name in names:
                # Archives made on a Mac hold a ._shadow of every file.
                if name.startswith("._"):
                    continue
                self._by_name[name.casefold()].append(Path(folder, name))
        for paths in self._by_name.values():
            paths.sort(key=lambda path: (len(path.parts), path))

    def find(self, name: str) -> Path:
        found = self.get(name)
        if found is None:
            raise MissingError(f"{self.root} lacks {name}")
        return found

    def get(self, name: str) -> Path | None:
        parts = name.casefold().split("/")
        for path in self._by_name.get(parts[-1], ()):
            inside = path.relative_to(self.root).as_posix().casefold().split("/")
            if inside[-len(parts) :] == parts:
                return path
        return None

    def inside(self, folder: str, suffix: str) -> list[Path]:
        """The files of the folder with this name, by name; of several the nearest to the root counts."""
        found = [
            path
            for paths in self._by_name.values()
            for path in paths
            if path.parent.name.casefold() == folder.casefold() and path.suffix.lower() == suffix
        ]
        nearest = min((path.parent for path in found), key=lambda one: (len(one.parts), one), default=None)
        return sorted(path for path in found if path.parent == nearest)


def read_text(path: Path) -> str:
    if not path.is_file():
        raise MissingError(f"there is no file {path}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text: save it as text in UTF-8.") from None


def read_rows(path: Path, needed: Collection[str]) -> Rows:
    """A CSV file; blanks around names and values are removed."""
    try:
        rows = list(csv.reader(io.StringIO(read_text(path), newline="")))
    except csv.Error as error:
        raise ValueError(f'{path} is no readable CSV ({error}): is a quote (") never closed?') from None
    return _by_column(path, rows, needed)


def read_lines(path: Path, columns: int, separator: str | None = None) -> list[tuple[int, list[str]]]:
    """Line number and cells of a table without header, parted by blanks or by `separator`."""
    lines = []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        cells = [cell.strip() for cell in text.split(separator)]
        if not any(cells):
            continue
        if len(cells) != columns:
            raise ValueError(f"{path}, line {line}: {columns} values are needed, but it has {len(cells)}.")
        lines.append((line, cells))
    return lines


_DAMAGED = (
    zipfile.BadZipFile, zlib.error, ElementTree.ParseError,
    LookupError, ValueError, RuntimeError, StopIteration,
)  # fmt: skip
"""What reading a damaged .xlsx file may raise."""


def read_sheet(path: Path, sheet: str, needed: Collection[str]) -> Rows:
    """The rows of one sheet of an .xlsx file below the first row that holds all the needed names."""
    try:
        with zipfile.ZipFile(path) as book:
            rows = _cells(book, sheet)
    except _DAMAGED:
        raise ValueError(f"{path} is not a readable .xlsx file with the sheet {sheet}.") from None
    start = next((index for index, row in enumerate(rows) if set(needed) <= set(row)), None)
    if start is None:
        raise ValueError(f"{path}: no row of the sheet {sheet} names {', '.join(sorted(needed))}.")
    header = rows[start]
    places = [header.index(name) for name in needed]
    # Sheets have notes beside their tables, and rows that are only formatted.
    table = [
        row[: len(header)] if any(place < len(row) and row[place] for place in places) else []
        for row in rows[start:]
    ]
    return _by_column(path, [[]] * start + table, needed)


def number(path: Path, line: int, text: str, what: str = "the score") -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{path}, line {line}: {what} {text!r} is not a number.")
    return value


def split_name(path: Path, line: int, text: str) -> str:
    """One of SPLITS from what tables call them: training, validation, or 0, 1, 2 in their order."""
    other = {"training": "train", "validation": "val", "valid": "val", "0": "train", "1": "val", "2": "test"}
    name = other.get(text.lower(), text.lower())
    if name not in SPLITS:
        raise ValueError(f"{path}, line {line}: split {text!r} is not one of {', '.join(SPLITS)}.")
    return name


def _by_column(path: Path, rows: list[list[str]], needed: Collection[str]) -> Rows:
    start = next((index for index, row in enumerate(rows) if any(row)), 0)
    header = [name.strip() for name in rows[start]] if rows else []
    missing = set(needed) - set(header)
    if missing:
        raise ValueError(
            f"{path}: the columns {', '.join(sorted(needed))} are needed; "
            f"missing: {', '.join(sorted(missing))}."
        )
    found = []
    for line, row in enumerate(rows[start + 1 :], start=start + 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(header) or any(
            not row[place].strip() if place < len(row) else True for place in map(header.index, needed)
        ):
            raise ValueError(f"{path}, line {line}: it does not have one value for each column.")
        pairs = [(name, cell.strip()) for name, cell in zip(header, row, strict=False)]
        # Reversed, so that of two columns with one name the first counts.
        found.append((line, dict.fromkeys(header, "") | dict(reversed(pairs))))
    if not found:
        raise ValueError(f"{path}: holds no rows.")
    return found


def _cells(book: zipfile.ZipFile, sheet: str) -> list[list[str]]:
    """Every row with its cells in place; source: ECMA-376 part 1, chapter 18 (SpreadsheetML)."""

    def parse(name: str) -> ElementTree.Element:
        return ElementTree.fromstring(book.read(name))

    def text(element: ElementTree.Element) -> str:
        return "".join(part.text or "" for part in element.iterfind(".//{*}t"))

    shared = (
        [text(item) for item in parse("xl/sharedStrings.xml").findall("{*}si")]
        if "xl/sharedStrings.xml" in book.namelist()
        else []
    )
    entry: Any = next(
        item for item in parse("xl/workbook.xml").iterfind(".//{*}sheet") if item.get("name") == sheet
    )
    identity = next(value for key, value in entry.items() if key.endswith("}id"))
    target = next(
        item.get("Target", "")
        for item in parse("xl/_rels/workbook.xml.rels").iterfind("{*}Relationship")
        if item.get("Id") == identity
    )
    rows: list[list[str]] = []
    for row in parse(target.lstrip("/") if target.startswith("/") else f"xl/{target}").iterfind(".//{*}row"):
        # Empty rows are not stored, so the number counts, not the order.
        rows += [[]] * (int(row.get("r", len(rows) + 1)) - 1 - len(rows))
        cells: list[str] = []
        for cell in row.iterfind("{*}c"):
            place = _column(cell.get("r", "")) or len(cells)
            cells += [""] * (place - len(cells))
            stored = cell.findtext("{*}v") or ""
            kind = cell.get("t")
            cells.append(
                shared[int(stored)] if kind == "s" else text(cell) if kind == "inlineStr" else stored
            )
        rows.append(cells)
    return rows


def _column(reference: str) -> int:
    """0 for "A7", 27 for "AB7"."""
    place = 0
    for letter in re.match(r"[A-Z]*", reference)[0]:  # type: ignore[index]
        place = place * 26 + ord(letter) - 64
    return max(place - 1, 0)
