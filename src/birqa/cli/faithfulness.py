"""birqa data faithfulness: is the re-made TID2013 like the real one?"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from birqa.cli import options
from birqa.files import naming


def command(
    meta: Annotated[Path, typer.Argument(help="The meta.csv that `birqa data tid2013` wrote.")],
    authors: Annotated[
        Path | None,
        typer.Option(help="TID2013's folder metrics_values: compares types and single pictures as well."),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Keep the metrics' scores in this file.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")] = None,
    as_json: options.Json = False,
) -> None:
    """Ten classic metrics on the re-made pictures, beside their published agreement with people."""
    from birqa.evaluation.faithfulness import PUBLISHED_SROCC, TYPES, read_authors_values, study_faithfulness
    from birqa.evaluation.scoring import score_by_peers, told
    from birqa.pairing import Pair
    from birqa.ratings import read_rated_pairs

    options.check_output(cache, [meta])
    values = read_authors_values(authors) if authors else None
    rows = read_rated_pairs(meta)
    peers = list(PUBLISHED_SROCC)
    with tempfile.TemporaryDirectory() as folder:
        kept = cache or Path(folder) / "scores.jsonl"
        scores, failures = score_by_peers([Pair(row.ref, row.dist) for row in rows], peers, kept, workers)
    for index, of_pair in sorted(failures.items()):
        print(f"birqa: {naming(rows[index].dist, told(of_pair))}", file=sys.stderr)
    good = [index for index in range(len(rows)) if index not in failures]
    if not good:
        raise ValueError(f"{meta}: none of the {len(rows)} pairs could be scored.")
    columns = {peer: scores[good, column] for column, peer in enumerate(peers)}
    studies = study_faithfulness([rows[index] for index in good], columns, values)
    if as_json:
        print(
            json.dumps(
                {
                    "data": str(meta),
                    "pairs": len(good),
                    "failed": len(failures),
                    "metrics": [study.to_dict() for study in studies],
                },
                indent=1,
            )
        )
        raise typer.Exit(2 if failures else 0)
    print(f"{meta}: {len(good)} pairs; SROCC with the ratings, then within each type")
    kinds = len({rows[index].type for index in good})
    if kinds < TYPES:
        print(f"published figures are of all {TYPES} types, these pairs of {kinds}: they may differ for that")
    width = max(map(len, peers))
    for study in studies:
        line = f"{study.metric:<{width}}  re-made {study.remade:.3f}  published {study.published:.3f}"
        if study.real is not None:
            line += f"  real, these pairs {study.real:.3f}  agreement {study.rank_agreement:.3f}"
        print(line)
    for study in studies:
        print(f"{study.metric} by type")
        for kind, remade in study.remade_by_type.items():
            line = f"  {kind:>2}  re-made {remade:+.3f}"
            if kind in study.real_by_type and kind in study.rank_agreement_by_type:
                agreement = study.rank_agreement_by_type[kind]
                line += f"  real {study.real_by_type[kind]:+.3f}  agreement {agreement:+.3f}"
            print(line)
    raise typer.Exit(2 if failures else 0)
