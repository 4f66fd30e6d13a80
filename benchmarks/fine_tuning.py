"""The fine-tuning tutorial (docs/fine-tuning.md), run as it is written: its commands, its figures.

    python benchmarks/fine_tuning.py build/sets/tid2013/meta.csv --runs runs/fine-tuning \
        --out benchmarks/results/fine-tuning.json

Some hundred pairs with types of distortion that the shipped weights know least stand for a user's own; the
other types, on the same held-out references, show what the gain costs elsewhere.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

from birqa.files import replacing
from birqa.registry import find_model

OWN = ("14", "15", "16", "17", "18", "23")
OTHER = tuple(str(kind) for kind in range(1, 25) if str(kind) not in OWN)


def birqa(*arguments: object) -> str:
    command = [sys.executable, "-m", "birqa", *map(str, arguments)]
    print("birqa", *arguments[:8], flush=True)
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("meta", type=Path, help="meta.csv of `birqa data tid2013 --types all`")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    tables = {}
    for name, types in (("own", OWN), ("other", OTHER)):
        tables[name] = args.runs / f"{name}.csv"
        chosen = "--types", ",".join(types), "--redraw"
        birqa("data", "index", "csv", args.meta, *chosen, "-o", tables[name])
    run = args.runs / find_model("birqa").fingerprint
    tuning = ("--from", "birqa", "--mos-range", 0, 0.9, "--steps", 300)
    birqa("train", "--data", tables["own"], *tuning, "-o", run)
    record = {"types": list(OWN), "evaluations": []}
    for name, table in tables.items():
        for stage, metric in (("before", "birqa"), ("after", run / "model")):
            found = json.loads(birqa("eval", table, "--split", "test", "--metric", metric, "--json"))
            (agreement,) = found["agreements"]
            record["evaluations"].append(
                {
                    "pairs": name,
                    "weights": stage,
                    "n": found["pairs"],
                    "references": found["references"],
                    "srocc": agreement["srocc"],
                    "interval": agreement["intervals"]["srocc"],
                    "plcc": agreement["plcc"],
                }
            )
    record["training_pairs"] = sum(
        row["split"] == "train" for row in csv.DictReader(tables["own"].open(newline="", encoding="utf-8"))
    )
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    record["device"] = environment["device"]
    curves = list(csv.DictReader((run / "curves.csv").open(newline="", encoding="utf-8")))
    record["minutes"] = float(curves[-1]["seconds_per_step"]) * int(curves[-1]["step"]) / 60
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for row in record["evaluations"]:
        print(row)


if __name__ == "__main__":
    main()
