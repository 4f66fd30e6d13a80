"""The rated data sets of the field, read from the folders in which they are published.

`declarations` has one declaration a set; `read_data_set` reads any of them into the same records.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from birqa.data.sets.declarations import DATA_SETS, DataSet, find_data_set
from birqa.data.sets.meta_info import read_meta_info
from birqa.data.sets.splits import with_splits
from birqa.data.sets.tables import MissingError
from birqa.ratings import Judgement, RatedPicture, Record, check_leakage, split_unit

__all__ = [
    "DATA_SETS",
    "DataSet",
    "Judgement",
    "RatedPicture",
    "Record",
    "check_leakage",
    "find_data_set",
    "read_data_set",
    "split_unit",
    "with_splits",
]

OWN_FILES_ONLY = ("csv", "bapps", "pieapp", "pieapp-2afc")
"""Sets that meta_info tables describe in other columns, or not at all."""


def read_data_set(
    name: str,
    root: Path,
    seed: int = 0,
    table: Path | None = None,
    *,
    types: Collection[str] = (),
    redraw: bool = False,
) -> list[Record]:
    """The records of a declared set: `mos` 0..1, larger is better, `std` likewise scaled, no split empty.

    The split is the published one, else 6:2:2 by reference, drawn with `seed`. With `table`, scores and
    splits come from one of IQA-PyTorch's meta_info tables instead of the set's own. "csv" takes a CSV file in
    place of a folder and leaves its scores as they are. With `types`, only these types of distortion; with
    `redraw`, 6:2:2 in place of the split that there is.

    Raises ValueError for an unknown name, a type that no row has, a damaged table or leakage between splits,
    FileNotFoundError, which says where to get the set and what to put where, for a missing folder or file.
    """
    data_set = find_data_set(name)
    if table is not None and data_set.name in OWN_FILES_ONLY:
        raise ValueError(f"{data_set.title} is read from its own files only: leave the table out.")
    if table is not None and not table.is_file():
        raise FileNotFoundError(f"There is no table {table}: give a meta_info CSV of IQA-PyTorch.")
    try:
        found = data_set.read(root) if table is None else read_meta_info(table, root, seed)
    except MissingError as error:
        source = f"get the set from {data_set.url} and put into {root}" if data_set.url else "needed is"
        raise FileNotFoundError(f"{data_set.title}: {error}; {source}: {data_set.layout}.") from None
    if not found:
        raise ValueError(f"{root} holds no rows for {data_set.title}.")
    unit = 1 if table is None else data_set.meta_info_std
    chosen = _of_types(found, types, root)
    if redraw:
        chosen = [replace(record, split="") for record in chosen]
    records = with_splits([_scaled(record, data_set, unit) for record in chosen], seed)
    check_leakage(records)
    return records


def _of_types(records: Sequence[Record], types: Collection[str], root: Path) -> Sequence[Record]:
    if not types:
        return records
    there = {"" if isinstance(record, RatedPicture) else record.type for record in records} - {""}
    missing = set(types) - there
    if missing:
        known = ", ".join(sorted(there, key=lambda name: (len(name), name)))
        raise ValueError(
            f"{root} has no rows of the type {', '.join(sorted(missing))}: "
            + (f"there are {known}." if known else "it names no types.")
        )
    return [record for record in records if not isinstance(record, RatedPicture) and record.type in types]


def _scaled(record: Record, data_set: DataSet, std_unit: float) -> Record:
    if isinstance(record, Judgement) or data_set.as_given:
        return record
    std = std_unit * record.std / (data_set.high - data_set.low)
    return replace(record, mos=data_set.quality(record.mos), std=std)
