"""Writing records as a CSV of our own, with paths relative to it."""

import csv
from collections.abc import Sequence
from pathlib import Path

from birqa.files import relative_path, replacing
from birqa.ratings import Judgement, RatedPair, RatedPicture, Record, check_leakage, std_text


def write_index(records: Sequence[Record], path: Path) -> None:
    """ref,dist,mos,std,type,level,split and, where they differ, weight; or image,mos,std,split for pictures
    without reference; or ref,left,right,prefers_right,type,split for judgements.

    Raises ValueError where splits share pictures.
    """
    check_leakage(records)
    rows = [_row(record, path.parent) for record in records]
    weights = [record.weight for record in records if isinstance(record, RatedPair)]
    if len(set(weights)) > 1:
        rows = [row | {"weight": f"{weight:.8g}"} for row, weight in zip(rows, weights, strict=True)]
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _row(record: Record, folder: Path) -> dict[str, str]:
    if isinstance(record, Judgement):
        return {
            "ref": relative_path(record.ref, folder),
            "left": relative_path(record.left, folder),
            "right": relative_path(record.right, folder),
            "prefers_right": f"{record.prefers_right:.8g}",
            "type": record.type,
            "split": record.split,
        }
    rating = {"mos": f"{record.mos:.8g}", "std": std_text(record.std)}
    if isinstance(record, RatedPicture):
        return {"image": relative_path(record.image, folder), **rating, "split": record.split}
    return {
        "ref": relative_path(record.ref, folder),
        "dist": relative_path(record.dist, folder),
        **rating,
        "type": record.type,
        "level": record.level,
        "split": record.split,
    }
