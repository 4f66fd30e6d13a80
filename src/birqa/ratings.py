"""Pairs of pictures with human ratings, from a CSV."""

import csv
import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

SPLITS = ("train", "val", "test")
_RATED = ("ref", "dist", "image", "mos", "std", "split", "type", "level", "weight")
COLUMNS = frozenset((*_RATED, "left", "right", "prefers_right"))
"""Of the tables that are read here."""


@dataclass(frozen=True)
class RatedPair:
    """`mos` is NaN where nobody has rated the pair; `type` and `level` are empty where the table has none."""

    ref: Path
    dist: Path
    mos: float
    split: str
    type: str = ""
    level: str = ""
    std: float = math.nan
    """Standard deviation of the ratings in the unit of `mos`; NaN where the table has none."""
    weight: float = 1.0
    """How often training draws the pair's reference, relative to other references; anchored batches are drawn
    by ratings alone."""


@dataclass(frozen=True)
class RatedPicture:
    """A picture rated without a reference. Pictures with the same `unit` belong into one split."""

    image: Path
    mos: float
    split: str
    std: float = math.nan
    unit: str = ""


@dataclass(frozen=True)
class Judgement:
    """`prefers_right` is the share of people, 0..1, to whom `right` is closer to `ref` than `left` is."""

    ref: Path
    left: Path
    right: Path
    prefers_right: float
    split: str
    type: str = ""


Record = RatedPair | RatedPicture | Judgement
AnyRecord = TypeVar("AnyRecord", RatedPair, RatedPicture, Judgement)


def read_rated_pairs(path: Path, allow_unrated: bool = False) -> list[RatedPair]:
    """Columns ref, dist, mos (larger is better), optionally split (empty is train), std, type, level, weight.

    File names are relative to the CSV. With `allow_unrated`, mos may be empty. Raises ValueError naming the
    missing column, the line that cannot be read, or the pair that is there twice.
    """
    header, rows = read_table(path)
    missing = {"ref", "dist", "mos"} - set(header)
    if missing and {"image", "mos"} <= set(header):
        raise ValueError(
            f"{path} rates pictures without references (image,mos), which birqa eval and train-blind take; "
            "here the columns ref, dist and mos are needed."
        )
    if missing:
        raise ValueError(
            f"{path}: the columns ref, dist and mos are needed; missing: {', '.join(sorted(missing))}."
        )
    pairs = []
    for line, row in rows:
        if not row["ref"] or not row["dist"]:
            raise ValueError(f"{path}, line {line}: it does not have one value for each column.")
        mos = _number(row["mos"])
        if not math.isfinite(mos) and not (allow_unrated and row["mos"] == ""):
            raise ValueError(f"{path}, line {line}: mos={row['mos']!r} is not a number.")
        split = read_split(path, line, row.get("split"))
        std = _std(path, line, row.get("std"))
        weight = _number(row.get("weight") or "1")
        if not 0 < weight < math.inf:
            raise ValueError(f"{path}, line {line}: weight={row['weight']!r} is not a number above 0.")
        pairs.append(
            RatedPair(
                path.parent / row["ref"],
                path.parent / row["dist"],
                mos,
                split,
                row.get("type") or "",
                row.get("level") or "",
                std,
                weight,
            )
        )
    if not pairs:
        raise ValueError(f"{path}: holds no pairs; add at least one row under the header.")
    check_repeats(pairs, path)
    return pairs


def std_text(std: float) -> str:
    """A deviation as tables hold it: empty where there is none."""
    return "" if math.isnan(std) else f"{std:.8g}"


def check_repeats(pairs: Iterable[RatedPair], table: Path) -> None:
    """Raises ValueError, which names the `table`, where the same ref and dist are there twice."""
    _once([(pair.ref, pair.dist) for pair in pairs], "the pair", table)


def _once(files: Iterable[tuple[Path, ...]], what: str, table: Path) -> None:
    seen = set()
    for row in files:
        key = tuple(map(os.path.normpath, row))
        if key in seen:
            raise ValueError(
                f"{table} has {what} {', '.join(map(str, row))} more than once: keep one row, with one "
                "rating."
            )
        seen.add(key)


def read_rated_pictures(path: Path) -> list[RatedPicture]:
    """Columns image, mos (larger is better), optionally split (empty is train) and std.

    File names are relative to the CSV. Raises ValueError naming the missing column or the line that cannot be
    read.
    """
    header, rows = read_table(path)
    missing = {"image", "mos"} - set(header)
    if missing:
        raise ValueError(
            f"{path}: the columns image and mos are needed; missing: {', '.join(sorted(missing))}."
        )
    pictures = []
    for line, row in rows:
        if not row["image"]:
            raise ValueError(f"{path}, line {line}: it does not have one value for each column.")
        mos = _number(row["mos"])
        if not math.isfinite(mos):
            raise ValueError(f"{path}, line {line}: mos={row['mos']!r} is not a number.")
        split = read_split(path, line, row.get("split"))
        std = _std(path, line, row.get("std"))
        pictures.append(RatedPicture(path.parent / row["image"], mos, split, std))
    if not pictures:
        raise ValueError(f"{path}: holds no pictures; add at least one row under the header.")
    _once([(picture.image,) for picture in pictures], "the picture", path)
    return pictures


def split_unit(record: Record) -> str:
    """What may not be divided between splits: the reference, or the picture where there is none."""
    if isinstance(record, RatedPicture):
        return record.unit or os.path.realpath(record.image)
    return os.path.realpath(record.ref)


def check_leakage(records: Sequence[Record]) -> None:
    """Raises ValueError where a reference, or any other picture, is in two splits. Links are followed."""
    split_of: dict[str, str] = {}
    resolved: dict[Path, str] = {}
    for record in records:
        for path in _pictures(record):
            if path not in resolved:
                resolved[path] = os.path.realpath(path)
        for key in {split_unit(record), *(resolved[path] for path in _pictures(record))}:
            split = split_of.setdefault(key, record.split)
            if split != record.split:
                raise ValueError(
                    f"{key} is in the splits {split} and {record.split}: put everything that belongs to one "
                    "reference into one split."
                )


def of_split(records: Sequence[AnyRecord], split: str | None, table: Path) -> list[AnyRecord]:
    """Those of one split, or with None all. Raises ValueError where there are none, or two splits share what
    `check_leakage` looks for."""
    if split is None:
        return list(records)
    check_leakage(records)
    wanted = split.strip().lower()
    chosen = [record for record in records if record.split == wanted]
    if not chosen:
        found = ", ".join(sorted({record.split or "none" for record in records}))
        raise ValueError(
            f"{table} has no rows with split {split!r}, but with {found}; rows whose column split is empty "
            "or missing are train."
        )
    return chosen


def _pictures(record: Record) -> tuple[Path, ...]:
    if isinstance(record, RatedPicture):
        return (record.image,)
    if isinstance(record, Judgement):
        return (record.ref, record.left, record.right)
    return (record.ref, record.dist)


def rescaled(pairs: Sequence[RatedPair], worst: float, best: float) -> list[RatedPair]:
    """The pairs with their ratings, and the ratings' deviations, on the scale 0 (`worst`) to 1 (`best`).

    Raises ValueError where the two are equal.
    """
    if not (math.isfinite(worst) and math.isfinite(best)):
        raise ValueError(f"the worst and the best rating must be numbers, not {worst:g} and {best:g}.")
    if worst == best:
        raise ValueError(f"the worst and the best rating must differ, not both be {worst:g}.")
    scale = best - worst
    return [replace(pair, mos=(pair.mos - worst) / scale, std=abs(pair.std / scale)) for pair in pairs]


def check_unit_range(rated: Sequence[RatedPair | RatedPicture], spare: float = 0.0) -> None:
    """Raises ValueError for ratings outside 0..1, the scale of scores, by more than `spare`."""
    outside = [one.mos for one in rated if not -spare <= one.mos <= 1 + spare]
    if outside:
        raise ValueError(
            f"{len(outside)} ratings are outside 0..1, for example {outside[0]:g}: rescale them, 1 is best "
            "(--mos-range, where the command has it)."
        )


def table_kind(path: Path) -> Literal["pairs", "pictures", "choices"]:
    """What the CSV's columns say that it rates: pairs where nothing else."""
    header = set(read_table(path)[0])
    if {"left", "right"} <= header:
        return "choices"
    return "pictures" if "image" in header and not header & {"ref", "dist"} else "pairs"


def read_judgements(path: Path) -> list[Judgement]:
    """Columns ref, left, right, prefers_right (0..1), optionally split and type; names relative to the CSV.

    Raises ValueError naming the missing column or the line that cannot be read.
    """
    header, rows = read_table(path)
    missing = {"ref", "left", "right", "prefers_right"} - set(header)
    if missing:
        raise ValueError(f"{path}: missing columns: {', '.join(sorted(missing))}.")
    judgements = []
    for line, row in rows:
        if not (row["ref"] and row["left"] and row["right"]):
            raise ValueError(f"{path}, line {line}: it does not have one value for each column.")
        share = _number(row["prefers_right"])
        if not 0 <= share <= 1:
            raise ValueError(f"{path}, line {line}: prefers_right={row['prefers_right']!r} is not in 0..1.")
        ref, left, right = (path.parent / row[name] for name in ("ref", "left", "right"))
        # Choices train nothing, so that none of them is of a split unasked.
        split = read_split(path, line, row["split"]) if row.get("split") else ""
        judgements.append(Judgement(ref, left, right, share, split, row.get("type") or ""))
    if not judgements:
        raise ValueError(f"{path}: holds no choices; add at least one row under the header.")
    return judgements


def _number(text: str | None) -> float:
    """NaN where there is none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _std(path: Path, line: int, text: str | None) -> float:
    if not text:
        return math.nan
    std = _number(text)
    if not 0 <= std < math.inf:
        raise ValueError(f"{path}, line {line}: std={text!r} is not a number of at least 0.")
    return std


def read_split(path: Path, line: int, text: str | None) -> str:
    """One of `SPLITS`, in lower case; train where the cell is empty. Raises ValueError for another."""
    split = (text or "train").strip().lower()
    if split not in SPLITS:
        raise ValueError(f"{path}, line {line}: split={split!r} is not one of {', '.join(SPLITS)}.")
    return split


def _stripped(cell: Any) -> Any:
    return cell.strip() if isinstance(cell, str) else cell


def read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Header, and number and cells by column of each row. Columns of ours may be written in any case of
    letters.

    Raises ValueError for a file that is not UTF-8 text or no CSV, a column that is there twice, and a row
    that has not one cell for each column.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        names = [name.strip() for name in reader.fieldnames or []]
        header = [name.casefold() if name.casefold() in COLUMNS else name for name in names]
        reader.fieldnames = header
        if len(header) == 1 and ";" in header[0]:
            raise ValueError(f"{path} has its columns separated by semicolons: separate them by commas.")
        rows = [(reader.line_num, {name: _stripped(cell) for name, cell in row.items()}) for row in reader]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text: save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise ValueError(f'{path} is no readable CSV ({error}): is a quote (") never closed?') from None
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: the column {twice[0]!r} is there twice: name each once.")
    for line, row in rows:
        if None in row or None in row.values():
            raise ValueError(f"{path}, line {line}: it does not have one value for each column.")
    return header, rows
