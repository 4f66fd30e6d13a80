"""birqa data list and birqa data index: the rated sets of the field."""

from pathlib import Path
from typing import Annotated

import typer


def list_command(
    root: Annotated[
        Path | None, typer.Option(help="Folder that holds the sets, each in a folder of its name below.")
    ] = None,
) -> None:
    """The rated data sets that can be read: name, kind, published scores, split, where to get them."""
    from birqa.data.sets import DATA_SETS

    rows = [["name", "kind", "scores", "better", "split", "where to get it", *(["found"] if root else [])]]
    for one in DATA_SETS:
        ends = f"{'about ' if one.open_ended else ''}{one.low:g}..{one.high:g}"
        row = [
            one.name,
            one.kind,
            "as given" if one.as_given else ends,
            "larger" if one.larger_is_better else "smaller",
            one.split,
            one.url or "your own file",
        ]
        if root:
            row.append("yes" if any((root / one.name / sign).exists() for sign in one.signs) else "no")
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def index_command(
    name: Annotated[str, typer.Argument(help="Name of the set, as `birqa data list` shows it.")],
    root: Annotated[Path, typer.Argument(help="Its folder; for csv, the CSV file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The CSV to write; its paths are relative to it.")],
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=9,
            help="Which draw of the 6:2:2 split, where the set has none of its own or with --redraw.",
        ),
    ] = 0,
    table: Annotated[
        Path | None, typer.Option(help="Scores and split from this meta_info CSV of IQA-PyTorch.")
    ] = None,
    types: Annotated[
        str | None, typer.Option("--types", help="Only these types of distortion: 14,15 or jpeg,blur.")
    ] = None,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Draw the split 6:2:2 even where the set or the CSV has one.")
    ] = False,
) -> None:
    """Write a data set as one CSV: scores 0..1, larger is better.

    It is for `birqa train` and `birqa eval`; of judged pairs (bapps, pieapp-2afc) for `birqa eval` alone; of
    pictures without references (koniq10k, live-itw) for `birqa train-blind`.
    """
    from collections import Counter

    from birqa.cli import options
    from birqa.data.sets import find_data_set, read_data_set
    from birqa.data.sets.index import write_index
    from birqa.ratings import SPLITS

    options.check_output(out, [root, table])
    wanted = [part.strip() for part in (types or "").split(",") if part.strip()]
    records = read_data_set(name, root, seed, table, types=wanted, redraw=redraw)
    write_index(records, out)
    counts = Counter(record.split for record in records)
    parts = ", ".join(f"{counts[split]} {split}" for split in SPLITS if counts[split])
    print(f"{out}: {parts}; no {find_data_set(name).split_unit} is in two of these")
