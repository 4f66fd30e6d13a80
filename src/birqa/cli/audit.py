"""birqa audit: was a picture optimised against the metric?"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from birqa.cli import options
from birqa.files import naming

SHOWN = ("plain", "hardened", "plain_jpeg", "plain_blur", "plain_moved")
"""The scores in the table; the rest is in the JSON."""


def command(
    ref: Annotated[Path, typer.Argument(help="Reference picture or folder.")],
    dist: Annotated[list[Path], typer.Argument(help="Distorted picture(s) or folder, to be looked at.")],
    threads: options.Threads = None,
    resize: options.Resize = "none",
    match: options.Match = "path",
    allow_unmatched: options.AllowUnmatched = False,
    as_json: options.Json = False,
) -> None:
    """Compare plain, hardened, washed and moved scores; say which pictures look optimised for the score.

    About one in a hundred clean pictures is taken for suspect, and many an attack is not found
    (docs/results.md). Only pictures that were pushed up are looked for, none that were pushed down.
    Exit code: 0 none looks optimised, 1 at least one does, 2 something could not be looked at.
    """
    from birqa.batch import NOT_SCORED, load_pair
    from birqa.pairing import pair_inputs
    from birqa.robustness.audit import Auditor

    pairs, unmatched = pair_inputs(ref, dist, match)
    options.report_unmatched(unmatched, match)
    auditor = Auditor(threads=threads)
    if not as_json:
        print("verdict", "suspicion", "threshold", *SHOWN, "picture", sep="\t")
    rows, failed, suspect = [], bool(unmatched) and not allow_unmatched, False
    for pair in options.with_progress(iter(pairs), len(pairs)):
        try:
            verdict = auditor(*load_pair(pair, resize))
        except NOT_SCORED as error:
            failed = True
            print(f"birqa: {naming(pair.dist, str(error))}", file=sys.stderr)
            rows.append({"ref": str(pair.ref), "dist": str(pair.dist), "error": str(error)})
            if not as_json:
                print("failed", *[""] * (2 + len(SHOWN)), options.shown(pair.dist), sep="\t", flush=True)
            continue
        suspect = suspect or verdict.optimised
        rows.append({"ref": str(pair.ref), "dist": str(pair.dist), **verdict.to_dict()})
        if not as_json:
            views = (getattr(verdict.views, name) for name in SHOWN)
            figures = (verdict.suspicion, verdict.threshold, *views)
            print(
                "optimised" if verdict.optimised else "clean",
                *(f"{figure:.4f}" for figure in figures),
                options.shown(pair.dist),
                sep="\t",
                flush=True,
            )
    if as_json:
        print(json.dumps(rows, indent=1))
    raise typer.Exit(2 if failed else 1 if suspect else 0)
