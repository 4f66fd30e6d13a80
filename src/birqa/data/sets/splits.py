"""Splits of what the readers give: by reference, never divided."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from birqa.evaluation.agreement import split_references
from birqa.ratings import Judgement, RatedPair, RatedPicture, Record, split_unit

AnyRecord = TypeVar("AnyRecord", RatedPair, RatedPicture, Judgement, Record)


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
