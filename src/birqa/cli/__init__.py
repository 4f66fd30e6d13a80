"""The command line. One file a command; no arithmetic here."""

import sys

import typer

from birqa.cli import data, evaluate, export, map, metrics, score, train

app = typer.Typer(
    name="birqa",
    help="Image-quality scores that people agree with.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("score")(score.command)
app.command("map")(map.command)
app.command("eval")(evaluate.command)
app.command("metrics")(metrics.command)
app.command("export")(export.command)
app.add_typer(data.app, name="data")
app.command("train")(train.command)


# Packages of the extras, by the extra that brings them.
EXTRAS = {"torch": "torch", "onnx": "torch", "scipy": "eval", "cv2": "data", "skimage": "data"}


def run() -> None:
    """Entry point: what a user can mend is one sentence and exit code 2, never a traceback."""
    try:
        app()
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        print(f'birqa: this needs {package}: pip install "birqa[{EXTRAS[package]}]".', file=sys.stderr)
        sys.exit(2)
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        print(f"birqa: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
