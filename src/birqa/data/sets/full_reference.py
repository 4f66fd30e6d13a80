"""Readers of the sets with references. Scores as published: `read_data_set` turns and scales them."""

from dataclasses import replace
from math import nan
from pathlib import Path, PurePosixPath

import numpy as np

from birqa.data.sets.matlab import cell_text, read_matrices
from birqa.data.sets.tables import Files, MissingError, number, read_lines, read_rows, read_sheet, read_text
from birqa.ratings import RatedPair, read_rated_pairs, read_table

LIVE_TYPES = ("jp2k", "jpeg", "wn", "gblur", "fastfading")
"""The order of the pictures in LIVE's tables."""

CSIQ_COLUMNS = ("image", "dst_type", "dst_lev", "dmos_std", "dmos")


def read_live(root: Path) -> list[RatedPair]:
    """dmos_realigned.mat where it is, else dmos.mat. The tables number the pictures through all folders and
    list undistorted copies too, which `orgs` marks; those are left out."""
    files = Files(root)
    table = files.get("dmos_realigned.mat")
    if table is not None:
        dmos, std, originals = read_matrices(table, "dmos_new", "dmos_std", "orgs")
    else:
        table = files.find("dmos.mat")
        dmos, originals = read_matrices(table, "dmos", "orgs")
        std = np.full(len(dmos), nan)
    (names,) = read_matrices(files.find("refnames_all.mat"), "refnames_all")
    counts = {kind: len(files.inside(kind, ".bmp")) for kind in LIVE_TYPES}
    places = [(kind, place) for kind, count in counts.items() for place in range(1, count + 1)]
    if not len(places) == len(dmos) == len(std) == len(originals) == len(names):
        raise ValueError(
            f"{table} rates {len(dmos)} pictures and refnames_all.mat names {len(names)}, but the folders "
            f"{', '.join(LIVE_TYPES)} hold {len(places)}: unpack the set again."
        )
    return [
        RatedPair(
            files.find(f"refimgs/{cell_text(name)}"),
            files.find(f"{kind}/img{place}.bmp"),
            float(score),
            "",
            kind,
            std=float(spread),
        )
        for (kind, place), name, score, spread, original in zip(
            places, names, dmos, std, originals, strict=True
        )
        if not original
    ]


def read_csiq(root: Path) -> list[RatedPair]:
    """csiq.DMOS.xlsx, the same sheet saved as csiq.DMOS.csv, or csiq_label.txt with `picture dmos` lines."""
    files = Files(root)
    sheet, export, label = map(files.get, ("csiq.DMOS.xlsx", "csiq.DMOS.csv", "csiq_label.txt"))
    if label and not (sheet or export):
        return [_csiq(files, cells[0], number(label, line, cells[1])) for line, cells in read_lines(label, 2)]
    if export:
        table, rows = export, read_rows(export, CSIQ_COLUMNS)
    else:
        table = files.find("csiq.DMOS.xlsx")
        rows = read_sheet(table, "all_by_image", CSIQ_COLUMNS)
    pairs = []
    for line, row in rows:
        # A spreadsheet keeps the name 1600 and the levels as numbers, which may read 1600.0.
        image = row["image"].removesuffix(".0")
        level = f"{number(table, line, row['dst_lev'], 'dst_lev'):g}"
        # The sheet says "noise" and "jpeg 2000", the files AWGN and jpeg2000.
        kind = {"noise": "awgn"}.get(row["dst_type"].lower(), row["dst_type"].lower().replace(" ", ""))
        std = number(table, line, row["dmos_std"], "dmos_std")
        pair = _csiq(files, f"{image}.{kind}.{level}.png", number(table, line, row["dmos"], "dmos"))
        pairs.append(replace(pair, std=std))
    return pairs


def _csiq(files: Files, name: str, dmos: float) -> RatedPair:
    parts = name.split(".")
    if len(parts) != 4:
        raise ValueError(f"CSIQ has no picture {name}: its names read like 1600.AWGN.1.png.")
    image, kind, level, _ = parts
    return RatedPair(
        files.find(f"src_imgs/{image}.png"), files.find(name), dmos, "", kind.lower(), level.lower()
    )


def read_tid2013(root: Path) -> list[RatedPair]:
    """mos_with_names.txt; the standard deviations are in mos_std.txt, in the same order, where it is."""
    files = Files(root)
    table = files.find("mos_with_names.txt")
    rows = read_lines(table, 2)
    spreads = [nan] * len(rows)
    if deviations := files.get("mos_std.txt"):
        spreads = [number(deviations, line, cells[0]) for line, cells in read_lines(deviations, 1)]
        if len(spreads) != len(rows):
            raise ValueError(f"{deviations} has {len(spreads)} lines, but {table} has {len(rows)}.")
    pairs = []
    for (line, (score, name)), std in zip(rows, spreads, strict=True):
        ref, kind, level = _numbered(table, line, name)
        pairs.append(
            RatedPair(
                files.find(f"reference_images/{ref}.bmp"),
                files.find(f"distorted_images/{name}"),
                number(table, line, score),
                "",
                kind,
                level,
                std,
            )
        )
    return pairs


def read_kadid(root: Path) -> list[RatedPair]:
    """dmos.csv. Its columns are misnamed: `dmos` is larger for better pictures, and `var` is a standard
    deviation (30 ratings of 1..5 give whole sums of squares only if it is)."""
    files = Files(root)
    table = files.find("dmos.csv")
    pairs = []
    for line, row in read_rows(table, ("dist_img", "ref_img", "dmos", "var")):
        _, kind, level = _numbered(table, line, row["dist_img"])
        pairs.append(
            RatedPair(
                files.find(f"images/{row['ref_img']}"),
                files.find(f"images/{row['dist_img']}"),
                number(table, line, row["dmos"], "dmos"),
                "",
                kind,
                level,
                number(table, line, row["var"], "var"),
            )
        )
    return pairs


def read_pipal(root: Path) -> list[RatedPair]:
    """One table a reference, `picture,Elo` a line. Where the validation part has labels too, the published
    parts are the split."""
    files = Files(root)
    training, validation = (files.inside(f"{part}_Label", ".txt") for part in ("Train", "Val"))
    if not training:
        raise MissingError(f"{root} lacks Train_Label with its .txt files")
    pairs = []
    for part, tables in (("train", training), ("val", validation)):
        for table in tables:
            for line, (name, score) in read_lines(table, 2, ","):
                ref, kind, level = _numbered(table, line, name)
                pairs.append(
                    RatedPair(
                        files.find(f"{part}_ref/{ref}.bmp"),
                        files.find(name),
                        number(table, line, score),
                        part if validation else "",
                        kind,
                        level,
                    )
                )
    return pairs


def read_pieapp(root: Path) -> list[RatedPair]:
    """The test part, the only one with a score for each picture; `pieapp-2afc` has all the judgements."""
    files = Files(root)
    pairs = []
    for name in read_text(files.find("test_reference_list.txt")).split():
        stem = PurePosixPath(name).stem
        table = files.find(f"labels/test/{stem}_per_image_score.csv")
        # The names of the columns vary in blanks and words, their order does not.
        for line, (_, picture, score) in read_lines(table, 3, ",")[1:]:
            pairs.append(
                RatedPair(
                    files.find(f"reference_images/test/{name}"),
                    files.find(f"distorted_images/test/{stem}/{picture}"),
                    number(table, line, score),
                    "test",
                )
            )
    return pairs


def read_csv(path: Path) -> list[RatedPair]:
    if not path.is_file():
        raise MissingError(f"there is no file {path}")
    pairs = read_rated_pairs(path)
    header, _ = read_table(path)
    # Without the column nobody has said "train", although that is what an empty cell means.
    return pairs if "split" in header else [replace(pair, split="") for pair in pairs]


def _numbered(table: Path, line: int, name: str) -> tuple[str, str, str]:
    """Reference, type and level of I01_02_3.bmp, without leading zeros."""
    parts = PurePosixPath(name).stem.split("_")
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        raise ValueError(f"{table}, line {line}: {name!r} does not read like I01_02_3.bmp.")
    return parts[0], str(int(parts[1])), str(int(parts[2]))
