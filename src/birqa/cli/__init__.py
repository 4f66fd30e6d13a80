"""The command line. One file a command; no arithmetic here."""

import errno
import os
import sys
import traceback
import warnings
from itertools import pairwise
from typing import Annotated, Any

import typer

import birqa
from birqa.cli import (
    attack,
    audit,
    blind,
    calibrate,
    certify,
    data,
    data_sets,
    distort,
    evaluate,
    export,
    faithfulness,
    map,
    metrics,
    robustness,
    score,
    train,
    train_blind,
    train_denoiser,
    verify,
)

app = typer.Typer(
    name="birqa",
    help="Image-quality scores that people agree with.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(birqa.__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Image-quality scores that people agree with."""


app.command("score")(score.command)
app.command("blind")(blind.command)
app.command("map")(map.command)
app.command("eval")(evaluate.command)
app.command("metrics")(metrics.command)
app.command("export")(export.command)
data.app.command("list")(data_sets.list_command)
data.app.command("index")(data_sets.index_command)
data.app.command("faithfulness")(faithfulness.command)
app.command("distort")(distort.command)
app.add_typer(data.app, name="data")
app.command("train")(train.command)
app.command("train-blind")(train_blind.command)
app.command("train-denoiser")(train_denoiser.command)
app.command("calibrate")(calibrate.command)
app.command("attack")(attack.command)
app.command("audit")(audit.command)
app.command("certify")(certify.command)
app.command("verify")(verify.command)
app.command("robustness")(robustness.command)
app.command("leaderboard")(robustness.leaderboard)


# Packages of the extras, by the extra that brings them.
EXTRAS = {
    "torch": "torch",
    "onnx": "torch",
    "lightning_fabric": "torch",
    "matplotlib": "torch",
    "scipy": "eval",
    "cv2": "data",
}


def run() -> None:
    """Entry point: what a user can mend is one sentence and exit code 2, never a traceback."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        # A file name that the terminal cannot show is no reason to fail.
        stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning
    if _is_empty(sys.argv[1:]):
        # As a path it would stand for the whole current folder.
        print(
            "birqa: one of the arguments is empty: check the variable of the shell that it comes from, or "
            "give . for the current folder.",
            file=sys.stderr,
        )
        sys.exit(2)
    try:
        app()
    except SystemExit as ended:
        if _reader_left(ended):
            # As the shell says it of whom SIGPIPE ends; 1 would be a verdict.
            sys.exit(141)
        raise
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        print(f'birqa: this needs {package}: pip install "birqa[{EXTRAS[package]}]".', file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"birqa: {_in_words(error)}", file=sys.stderr)
        sys.exit(2)
    except (ValueError, ImportError, FloatingPointError) as error:
        print(f"birqa: {error}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print("birqa: this does not fit into the free memory: give a smaller picture.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if _is_told_by_an_engine(error):
            print(f"birqa: {error}", file=sys.stderr)
            sys.exit(2)
        # Not 1, which says that a score is below --fail-under.
        traceback.print_exc()
        sys.exit(2)


def _is_empty(arguments: list[str]) -> bool:
    """Whether any is, but for what may be said of data, which may be nothing."""
    return any(not one and before != "--about" for before, one in pairwise(["", *arguments]))


def _is_told_by_an_engine(error: Exception) -> bool:
    # Imported only now: it brings NumPy, which help and mistaken options need not wait for.
    from birqa.engines.base import NotScoredError

    return isinstance(error, NotScoredError)


def _reader_left(ended: SystemExit) -> bool:
    """Whether nobody reads what is printed any more, as behind `birqa ... | head -n 1`."""
    left = isinstance(ended.__context__, BrokenPipeError)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        left = True
        # Or Python would try again as it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return left


def _in_words(error: OSError) -> str:
    mends = {
        FileNotFoundError: "does not exist: check the path",
        IsADirectoryError: "is a folder, where a file is needed",
        NotADirectoryError: "is no folder, where one is needed",
        FileExistsError: "is there already and is no folder: choose another name",
        PermissionError: "may not be read or written: check its permissions",
    }
    if error.errno == errno.ENOSPC:
        return f"{error.filename or 'what is written to'} has no space left: free some, or write elsewhere"
    mend = mends.get(type(error))
    return f"{error.filename} {mend}" if mend and error.filename is not None else str(error)


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    # What other packages tell their programmers is nothing that a user can mend.
    if issubclass(category, DeprecationWarning | PendingDeprecationWarning | FutureWarning):
        return
    print(f"birqa: {message}", file=sys.stderr)
