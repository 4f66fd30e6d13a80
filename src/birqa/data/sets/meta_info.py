"""The tables named meta_info_*.csv that IQA-PyTorch distributes, for the pictures of a declared set.

Their columns do not say which way a score goes (KADID-10k's `dmos` is larger for better pictures, LIVE's
`mos` is smaller), so the declaration does.
"""

from math import nan
from pathlib import Path, PurePosixPath

from birqa.data.sets.no_reference import LIVE_WILD_TRAINING, live_wild_unit
from birqa.data.sets.tables import Files, number, read_rows, split_name
from birqa.ratings import RatedPair, RatedPicture

REFERENCES = ("ref_name", "hq_name")
PICTURES = ("dist_name", "img_name")
SCORES = ("mos", "dmos", "elo_score")


def read_meta_info(table: Path, root: Path, seed: int) -> list[RatedPair] | list[RatedPicture]:
    """Pairs where the table has a column of references, else pictures; scores as published.

    The split is the column `official_split` or `split` where the table has one, else
    `ratio622_seed123_split_NN`, of which NN = seed + 1 is taken, else none.
    """
    rows = read_rows(table, ())
    header = list(rows[0][1])
    ref, picture, score = (_first(header, names) for names in (REFERENCES, PICTURES, SCORES))
    if not picture or not score:
        raise ValueError(
            f"{table}: one of the columns {', '.join(PICTURES if not picture else SCORES)} is needed."
        )
    split = _first(header, ("official_split", "split", f"ratio622_seed123_split_{seed + 1:02d}"))
    files = Files(root)
    pairs: list[RatedPair] = []
    pictures: list[RatedPicture] = []
    for line, row in rows:
        name, mos = row[picture], number(table, line, row[score])
        std = number(table, line, row["std"], "std") if row.get("std") else nan
        part = split_name(table, line, row[split]) if split else ""
        if ref:
            pairs.append(RatedPair(files.find(row[ref]), files.find(name), mos, part, std=std))
        elif not LIVE_WILD_TRAINING.fullmatch(PurePosixPath(name).stem):
            pictures.append(RatedPicture(files.find(name), mos, part, std, live_wild_unit(name)))
    return pairs if ref else pictures


def _first(header: list[str], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in header), "")
