"""Same-database accuracy: fine-tuned and tested on one rated set, on random 6:2:2 splits of its references.

    python benchmarks/same_database.py build/sets/tid2013/meta.csv --recipe recipes/same-database.json \
        --runs runs/same-database --out benchmarks/results/same-database.json

Each split starts from shipped weights that never saw the set, trains on 60 % of the references, is watched on
20 % and tested once, after the last step, on the other 20 %. A finished split is kept, and a broken one
goes on where it was: run it again.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from birqa.evaluation.agreement import split_references
from birqa.evaluation.correlation import correlate
from birqa.files import replacing
from birqa.ratings import RatedPair, read_rated_pairs
from birqa.registry import find_model
from birqa.training.checkpoint import digest
from birqa.training.config import load_recipe
from birqa.training.fit import Trainer, start_from


def run_split(rows: list[RatedPair], start: str, recipe: Path, folder: Path, seed: int) -> dict[str, float]:
    config, weights = start_from(start, load_recipe(recipe, seed=seed))
    splits = split_references([str(row.ref) for row in rows], seed)
    train, val, test = (
        [row for row, split in zip(rows, splits, strict=True) if split == part]
        for part in ("train", "val", "test")
    )
    trainer = Trainer(config, train, val, folder, start=weights)
    trainer.run(lambda entry: print(json.dumps({"seed": seed} | entry), flush=True))
    trainer.result()
    trainer.validation = test
    return {"seed": seed, "test_pairs": len(test)} | trainer.validate()


def types_alone(rows: list[RatedPair], seed: int, *, told: bool) -> float:
    """SROCC on the test part of what takes no look at a picture: the mean rating of its type and level on the
    other references; or, `told`, on the test references themselves, which nobody can know beforehand."""
    splits = split_references([str(row.ref) for row in rows], seed)
    test = [row for row, split in zip(rows, splits, strict=True) if split == "test"]
    others = [row for row, split in zip(rows, splits, strict=True) if split != "test"]
    known: dict[tuple[str, str], list[float]] = {}
    for row in test if told else others:
        known.setdefault((row.type, row.level), []).append(row.mos)
    guesses = [statistics.mean(known[row.type, row.level]) for row in test]
    return correlate(guesses, [row.mos for row in test]).srocc


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("meta", type=Path)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--start", default="birqa.kadid", help="weights that each split starts from")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = read_rated_pairs(args.meta)
    # Splits kept from other weights, by another recipe or of another table, are no results of these.
    how = digest(args.recipe.read_text("utf-8"), args.meta.read_text("utf-8"))
    runs = args.runs / f"{find_model(args.start).fingerprint}-{how[:8]}"
    results = []
    for seed in range(args.splits):
        kept = runs / f"{seed}.json"
        if not kept.exists():
            result = run_split(rows, args.start, args.recipe, runs / str(seed), seed)
            with replacing(kept) as part:
                part.write_text(json.dumps(result) + "\n", encoding="utf-8")
        result = json.loads(kept.read_text(encoding="utf-8"))
        alone = {
            "types_alone": types_alone(rows, seed, told=False),
            "types_told": types_alone(rows, seed, told=True),
        }
        results.append(result | alone)
        print(json.dumps(results[-1]), flush=True)
    sroccs = [result["srocc"] for result in results]
    record = {
        "command": "python benchmarks/same_database.py " + " ".join(sys.argv[1:]),
        "steps": load_recipe(args.recipe).steps,
        "data": str(args.meta),
        "start": args.start,
        "splits": results,
        "mean_srocc": statistics.mean(sroccs),
        "spread_srocc": statistics.pstdev(sroccs),
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
