"""How much of a figure is luck: birqa.kadid trained again from other seeds, and all of them measured alike.

    python benchmarks/seeds.py build/sets/train.csv build/sets/{tid2013,kadid-test}/meta.csv \
        --recipe recipes/birqa.kadid.json --runs runs/seeds --out benchmarks/results/seeds.json

The shipped weights are those of the recipe's own seed, whatever the others read. A finished training is
kept, and a broken one goes on where it was: run it again.
"""

import argparse
import json
import statistics
from pathlib import Path

from birqa.evaluation.correlation import correlate
from birqa.evaluation.scoring import score_all_by_peers
from birqa.export import save_model
from birqa.files import replacing
from birqa.pairing import Pair
from birqa.ratings import RatedPair, read_rated_pairs
from birqa.training.checkpoint import digest
from birqa.training.config import load_recipe
from birqa.training.fit import Trainer


def train(recipe: Path, seed: int, threads: int | None, table: Path, folder: Path) -> None:
    config = load_recipe(recipe, seed=seed, threads=threads)
    pairs = read_rated_pairs(table)
    parts = ([pair for pair in pairs if pair.split == split] for split in ("train", "test"))
    trainer = Trainer(config, *parts, folder)
    trainer.run(lambda entry: print(json.dumps({"seed": seed} | entry), flush=True))
    save_model(trainer.result(), folder / "model", name=f"birqa.seed-{seed}", version="1", card={})


def measure(metrics: list[str], rows: list[RatedPair], cache: Path) -> dict[str, object]:
    scores = score_all_by_peers([Pair(row.ref, row.dist) for row in rows], metrics, cache)
    sroccs = [correlate(column, [row.mos for row in rows]).srocc for column in scores.T.tolist()]
    return {
        "pairs": len(rows),
        "srocc": sroccs,
        "mean": statistics.mean(sroccs),
        "deviation": statistics.stdev(sroccs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="training table of birqa.kadid")
    parser.add_argument("sets", type=Path, nargs="+", help="meta.csv of each set to measure on")
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--seed", type=int, action="append", help="another seed; default: 1 and 2")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    seeds = args.seed or [1, 2]
    # Trainings by another recipe, or on another table, are no results of this one.
    runs = args.runs / digest(args.recipe.read_text("utf-8"), args.table.read_text("utf-8"))[:8]
    folders = [runs / str(seed) for seed in seeds]
    for seed, folder in zip(seeds, folders, strict=True):
        if not (folder / "model" / "model.json").exists():
            train(args.recipe, seed, args.threads, args.table, folder)
    metrics = ["birqa.kadid", *(str(folder / "model") for folder in folders)]
    record = {
        "seeds": [load_recipe(args.recipe).seed, *seeds],
        "sets": {
            meta.parent.name: measure(metrics, read_rated_pairs(meta), runs / f"{meta.parent.name}.jsonl")
            for meta in args.sets
        },
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record["sets"]))


if __name__ == "__main__":
    main()
