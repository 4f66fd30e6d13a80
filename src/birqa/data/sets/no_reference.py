"""Readers of the sets of photographs rated without a reference, scores as published."""

import re
from pathlib import Path

from birqa.data.sets.matlab import cell_text, read_matrices
from birqa.data.sets.tables import Files, number, read_rows, split_name
from birqa.ratings import RatedPicture

LIVE_WILD_TRAINING = re.compile(r"t\d+")
"""Names, without suffix, of the pictures that only showed people how to rate."""

LIVE_WILD_TWINS = frozenset({"246", "333"})
"""One photograph under two names."""


def read_koniq(root: Path) -> list[RatedPicture]:
    """koniq10k_distributions_sets.csv, which has the published split, else
    koniq10k_scores_and_distributions.csv; both have a score of 0..100, in columns of different names.
    Pictures from 1024x768 where both sizes are there."""
    files = Files(root)
    sets = files.get("koniq10k_distributions_sets.csv")
    table = sets or files.find("koniq10k_scores_and_distributions.csv")
    column = "MOS" if sets else "MOS_zscore"
    pictures = []
    for line, row in read_rows(table, ("image_name", column, "SD", *(["set"] if sets else []))):
        pictures.append(
            RatedPicture(
                files.get(f"1024x768/{row['image_name']}") or files.find(row["image_name"]),
                number(table, line, row[column], column),
                split_name(table, line, row["set"]) if sets else "",
                # Stated in the grades 1..5 that people gave, unlike the score.
                25 * number(table, line, row["SD"], "SD"),
            )
        )
    return pictures


def read_live_wild(root: Path) -> list[RatedPicture]:
    """The published MATLAB files, or a table clive_mos.csv: file,mos,std,is_training_image."""
    files = Files(root)
    if table := files.get("clive_mos.csv"):
        rows = [
            (row["file"], number(table, line, row["mos"], "mos"), number(table, line, row["std"], "std"))
            for line, row in read_rows(table, ("file", "mos", "std", "is_training_image"))
            if row["is_training_image"] == "0"
        ]
    else:
        columns = [
            read_matrices(files.find(f"{variable}.mat"), variable)[0]
            for variable in ("AllImages_release", "AllMOS_release", "AllStdDev_release")
        ]
        if len({len(column) for column in columns}) != 1:
            raise ValueError(
                f"{root}: AllImages, AllMOS and AllStdDev differ in length: unpack the set again."
            )
        rows = [
            (f"Images/{cell_text(name)}", float(mos), float(std))
            for name, mos, std in zip(*columns, strict=True)
            if not LIVE_WILD_TRAINING.fullmatch(Path(cell_text(name)).stem)
        ]
    return [RatedPicture(files.find(name), mos, "", std, live_wild_unit(name)) for name, mos, std in rows]


def live_wild_unit(name: str) -> str:
    return "246 and 333" if Path(name).stem in LIVE_WILD_TWINS else ""
