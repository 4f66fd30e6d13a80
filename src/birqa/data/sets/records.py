"""What the readers give, and the splits of it: by reference, never divided."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from birqa.evaluation.agreement import split_references
from birqa.ratings import Judgement, RatedPair, RatedPicture

Record = RatedPair | RatedPicture | Judgement
AnyRecord = TypeVar("AnyRecord", RatedPair, RatedPicture, Judgement, Record)


def split_unit(record: Record) -> str:
    """What may not be divided between splits: the reference, or the picture where there is none."""
    if isinstance(record, RatedPicture):
        return record.unit or os.path.realpath(record.image)
    return os.path.realpath(record.ref)


def with_splits(records: Sequence[AnyRecord], seed: int) -> list[AnyRecord]:
    """Keeps the splits that the records have; where none has one, 6:2:2 by `split_unit`, drawn with `seed`.

    Raises ValueError where some have a split and some have none.
    """
    lacking = sum(not record.split for record in records)
    if not lacking:
        return list(records)
    if lacking < len(records):
        raise ValueError(f"{lacking} of {len(records)} rows have no split: fill in all of them or none.")
    splits = split_references([split_unit(record) for record in records], seed)
    return [replace(record, split=str(split)) for record, split in zip(records, splits, strict=True)]


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


def _pictures(record: Record) -> tuple[Path, ...]:
    if isinstance(record, RatedPicture):
        return (record.image,)
    if isinstance(record, Judgement):
        return (record.ref, record.left, record.right)
    return (record.ref, record.dist)
