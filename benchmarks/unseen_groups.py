"""Does training on TID2013 as well help on pictures and distortions that neither training saw?

    python benchmarks/unseen_groups.py build/sets/train.csv build/sets/tid2013/meta.csv \
        --ratings ../shared/data/ratings --recipe recipes/birqa.kadid-tid.json --steps 1200 \
        --runs runs/unseen-groups --out benchmarks/results/unseen-groups.json

TID2013's types fall into three groups of kin: noise, coding and blur, local and tonal changes. Each of three
trainings starts from birqa.kadid, sees two groups on two thirds of the references beside birqa.kadid's own
data, and scores the third group on the other references: so each pair is scored once, by weights that saw
neither its reference nor any type of its group. A finished training is kept; a broken one goes on.
"""

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from birqa.data.joining import find_common_scale, join_tables
from birqa.engines.torch import load_module
from birqa.evaluation.agreement import resample_references
from birqa.evaluation.correlation import correlate
from birqa.export import save_model
from birqa.files import replacing
from birqa.images import load_image
from birqa.metric import create_full_reference
from birqa.ratings import RatedPair, read_rated_pairs
from birqa.registry import find_model
from birqa.training.config import load_recipe
from birqa.training.fit import Trainer

GROUPS = {
    "noise": (1, 2, 3, 4, 5, 6, 19, 21),
    "coding and blur": (8, 9, 10, 11, 12, 13, 20, 24),
    "local and tonal": (7, 14, 15, 16, 17, 18, 22, 23),
}


def train_without(
    args: argparse.Namespace, held: list[RatedPair], rows: list[RatedPair], folder: Path
) -> Path:
    """The folder of a model that saw no reference and no type of `held`."""
    folder.mkdir(parents=True, exist_ok=True)
    refs, types = {row.ref for row in held}, {row.type for row in held}
    seen = folder / "seen.csv"
    with replacing(seen) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ref", "dist", "mos", "type", "level"])
        for row in rows:
            if row.ref not in refs and row.type not in types:
                writer.writerow([row.ref.resolve(), row.dist.resolve(), row.mos, row.type, row.level])
    scale = find_common_scale(args.ratings / "tid2013.csv", args.ratings / "kadid10k.csv")
    joined = join_tables(
        args.table,
        seen,
        folder / "joined.csv",
        mos_range=(scale.worst, scale.best),
        share=args.share,
    )
    model = find_model("birqa.kadid")
    config = replace(
        load_recipe(args.recipe, steps=args.steps, threads=args.threads),
        network=model.config,
        start=model.label,
    )
    pairs = read_rated_pairs(joined)
    trainer = Trainer(
        config,
        [pair for pair in pairs if pair.split == "train"],
        [pair for pair in pairs if pair.split == "test"],
        folder,
        start=load_module(model).state_dict(),
    )
    trainer.run(lambda entry: print(json.dumps({"without": folder.name} | entry), flush=True))
    save_model(trainer.result(), folder / "model", name="birqa.part", version="1", card={})
    return folder / "model"


def score(metric: str, pairs: list[RatedPair]) -> list[float]:
    measure = create_full_reference(metric)
    return [float(measure(load_image(pair.dist), load_image(pair.ref))[0]) for pair in pairs]


def compare(plain: np.ndarray, joint: np.ndarray, pairs: list[RatedPair]) -> dict[str, object]:
    mos = np.array([pair.mos for pair in pairs])
    draws = resample_references([str(pair.ref) for pair in pairs], 1000, seed=0)
    difference = [
        correlate(joint[draw], mos[draw]).srocc - correlate(plain[draw], mos[draw]).srocc for draw in draws
    ]
    return {
        "pairs": len(pairs),
        "kadid": correlate(plain, mos).srocc,
        "kadid-tid": correlate(joint, mos).srocc,
        "difference_interval": np.quantile(difference, [0.025, 0.975]).tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="training table of birqa.kadid")
    parser.add_argument("tid2013", type=Path, help="meta.csv of the re-made TID2013, all types")
    parser.add_argument("--ratings", type=Path, required=True, help="folder of tid2013.csv and kadid10k.csv")
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.5, help="of the draws, for TID2013")
    parser.add_argument("--steps", type=int, help="of each training; default the recipe's")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", type=int, help="run only this group's training, and report nothing")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = read_rated_pairs(args.tid2013)
    refs = sorted({row.ref for row in rows})
    runs = args.runs / find_model("birqa.kadid").fingerprint
    pairs: list[RatedPair] = []
    group_of: list[str] = []
    plain: list[float] = []
    joint: list[float] = []
    for number, (name, types) in enumerate(GROUPS.items()):
        if args.only not in (None, number):
            continue
        test = set(refs[number :: len(GROUPS)])
        held = [row for row in rows if row.ref in test and int(row.type) in types]
        model = runs / str(number) / "model"
        if not (model / "model.json").exists():
            model = train_without(args, held, rows, runs / str(number))
        if args.only is not None:
            return
        pairs += held
        group_of += [name] * len(held)
        plain += score("birqa.kadid", held)
        joint += score(str(model), held)
    first, second = np.array(plain), np.array(joint)
    record = {
        "steps": load_recipe(args.recipe, steps=args.steps).steps,
        "all": compare(first, second, pairs),
        "groups": {
            name: compare(
                first[[one == name for one in group_of]],
                second[[one == name for one in group_of]],
                [pair for pair, one in zip(pairs, group_of, strict=True) if one == name],
            )
            for name in GROUPS
        },
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record["all"]))


if __name__ == "__main__":
    main()
