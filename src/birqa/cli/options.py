"""Options that several commands share."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from birqa import pairing
from birqa.ranges import MOST_THREADS

Metric = Annotated[str, typer.Option(help="A metric's name, name.tag, or a folder with weights.")]
Engine = Annotated[Literal["auto", "onnx", "torch"], typer.Option(help="What runs it: onnx (CPU) or torch.")]
Device = Annotated[str | None, typer.Option(help="Device of the torch engine, for example cuda.")]
Devices = Annotated[
    str | None,
    typer.Option(help="Device of the torch engine, or several that share the draws: cuda, or cuda:0,cuda:1."),
]
Threads = Annotated[int | None, typer.Option(min=1, max=MOST_THREADS, help="CPU threads; default all cores.")]
Resize = Annotated[
    Literal["none", "dist-to-ref", "ref-to-dist"],
    typer.Option(help="What to do with a pair of different sizes; none reports it as an error."),
]
Match = Annotated[
    pairing.Match,
    typer.Option(
        help="Which files of two folders go together: those of one path without suffix, of one name in "
        "whatever folder below, or those whose name begins so: x_q30.jpg with x.png."
    ),
]
AllowUnmatched = Annotated[
    bool, typer.Option("--allow-unmatched", help="Files without partner in two folders are no failure.")
]
Background = Annotated[
    str, typer.Option(help="What transparency is laid on: a grey level or R,G,B, each in 0..1.")
]
ShorterSide = Annotated[
    int | None,
    typer.Option(min=32, help="Reduce pictures whose shorter side is larger to so many pixels."),
]
MosRange = Annotated[
    tuple[float, float] | None,
    typer.Option(help="Worst and best rating of the data's scale, for example 1 5; default 0 1."),
]
Split = Annotated[str | None, typer.Option(help="Only the rows of this split: train, val or test.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Write the scores to this CSV file.")]
FailUnder = Annotated[
    float | None, typer.Option(min=0, max=1, help="Exit with 1 when any score is below this (0..1).")
]
Card = Annotated[Path | None, typer.Option(help="JSON to put into the model's card.")]
PartsRecipe = Annotated[
    Path | None, typer.Option("--recipe", help="JSON with parts network, training and schedule.")
]
WeightsName = Annotated[str, typer.Option("--name", help="name.tag of the weights.")]
WeightsVersion = Annotated[str, typer.Option("--version", help="Version of the weights.")]


def parse_background(text: str) -> tuple[float, float, float]:
    """ "0.5" or "0.2,0.4,1" -> three levels in [0, 1]."""
    try:
        levels = [float(part) for part in text.split(",")]
    except ValueError:
        levels = []
    if len(levels) == 1:
        levels *= 3
    if len(levels) != 3 or not all(0 <= level <= 1 for level in levels):
        raise typer.BadParameter(f"{text!r} is not a grey level or R,G,B with levels in 0..1")
    return (levels[0], levels[1], levels[2])


def check_output(path: Path | None, inputs: Iterable[Path | None] = (), folder: bool = False) -> None:
    """Say before the work that its result could not be written after it, or would destroy one of `inputs`.

    With `folder`, it may be a folder, or a file where there is none yet.
    """
    if path is None:
        return
    if str(path) == "-":
        raise typer.BadParameter("- would be a file of that name, not standard output; name a file")
    # /dev/stdout and the like, where they lead to a file.
    place = str(path.parent.resolve())
    if (place == "/dev" or place.startswith("/proc/")) and path.is_file():
        raise typer.BadParameter(
            f"{path} leads to the file {path.resolve()}, which would be replaced; name that file itself"
        )
    if not path.parent.is_dir():
        raise typer.BadParameter(f"{path}: the folder {path.parent} does not exist; make it first")
    if not folder and path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name a file, such as {path / 'result'}")
    # Written beside, then renamed, it needs its folder; a device or pipe is written to as it is.
    beside = path.resolve().parent if path.is_file() or not path.exists() else path
    if path.exists() and not os.access(path, os.W_OK):
        raise typer.BadParameter(f"{path} may not be written; choose another place")
    if beside.is_dir():
        # Permissions alone do not tell of a full disk, or of folders that take no files.
        try:
            tempfile.TemporaryFile(dir=beside).close()
        except OSError as error:
            raise typer.BadParameter(
                f"{path} may not be written ({error.strerror}); choose another place"
            ) from None
    if path.resolve() in {one.resolve() for one in inputs if one is not None}:
        raise typer.BadParameter(
            f"{path} is an input or another output, which would be destroyed; choose another name"
        )


def report_unmatched(unmatched: Iterable[Path], match: pairing.Match) -> None:
    """Name the files without partner on standard error, and what might find them one."""
    files = list(unmatched)
    for path in files:
        print(f"birqa: {path} has no partner and is left out.", file=sys.stderr)
    if files and match != "prefix":
        print(f"birqa: files went together by {match}; {pairing.hint(match)}.", file=sys.stderr)


def shown(path: Path) -> str:
    """A name that keeps to its line and column, and plays no tricks on a terminal."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in str(path)
    )


def with_progress(results: Iterator[Any], total: int) -> Iterator[Any]:
    """Long work shows a bar with the time left on a terminal's standard error."""
    if total < 8:
        yield from results
        return
    with progress_bar("Scoring") as progress:
        for done, result in enumerate(results):
            progress(done, total)
            yield result
        progress(total, total)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Gives a function of (done, all) that shows a bar with the time left on a terminal's standard error."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(label)
        yield lambda done, total: bar.update(task, completed=done, total=total)
