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
from itertools import chain
from pathlib import Path

import numpy as np

from birqa.data.joining import find_common_scale, join_tables
from birqa.evaluation.agreement import study_agreement
from birqa.evaluation.scoring import score_all_by_peers
from birqa.export import save_model
from birqa.files import replacing
from birqa.pairing import Pair
from birqa.ratings import RatedPair, read_rated_pairs
from birqa.registry import find_model
from birqa.training.checkpoint import digest
from birqa.training.config import load_recipe
from birqa.training.fit import Trainer, start_from

GROUPS = {
    "noise": (1, 2, 3, 4, 5, 6, 19, 21),
    "coding and blur": (8, 9, 10, 11, 12, 13, 20, 24),
    "local and tonal": (7, 14, 15, 16, 17, 18, 22, 23),
}


def train_without(
    args: argparse.Namespace, held: list[RatedPair], rows: list[RatedPair], folder: Path
) -> None:
    """Leave in `folder` a model that saw no reference and no type of `held`."""
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
    config, weights = start_from(
        "birqa.kadid", load_recipe(args.recipe, steps=args.steps, threads=args.threads)
    )
    pairs = read_rated_pairs(joined)
    trainer = Trainer(
        config,
        [pair for pair in pairs if pair.split == "train"],
        [pair for pair in pairs if pair.split == "test"],
        folder,
        start=weights,
    )
    trainer.run(lambda entry: print(json.dumps({"without": folder.name} | entry), flush=True))
    save_model(trainer.result(), folder / "model", name="birqa.part", version="1", card={})


def compare(plain: np.ndarray, joint: np.ndarray, pairs: list[RatedPair]) -> dict[str, object]:
    study = study_agreement(
        {"kadid-tid": joint.tolist(), "kadid": plain.tolist()},
        [pair.mos for pair in pairs],
        [str(pair.ref) for pair in pairs],
    )
    return {
        "pairs": len(pairs),
        **{one.metric: one.srocc for one in study.agreements},
        "difference_interval": study.differences[0].interval,
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
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = read_rated_pairs(args.tid2013)
    refs = sorted({row.ref for row in rows})
    # Trainings from other weights, by another recipe or on other tables, are no results of these.
    tables = [table.read_text("utf-8") for table in (args.table, args.tid2013)]
    how = digest(args.recipe.read_text("utf-8"), args.steps, args.share, *tables)
    runs = args.runs / f"{find_model('birqa.kadid').fingerprint}-{how[:8]}"
    parts: dict[str, tuple[np.ndarray, np.ndarray, list[RatedPair]]] = {}
    for number, (name, types) in enumerate(GROUPS.items()):
        test, folder = set(refs[number :: len(GROUPS)]), runs / str(number)
        held = [row for row in rows if row.ref in test and int(row.type) in types]
        if not (folder / "model" / "model.json").exists():
            train_without(args, held, rows, folder)
        metrics = "birqa.kadid", str(folder / "model")
        scores = score_all_by_peers(
            [Pair(row.ref, row.dist) for row in held], metrics, folder / "scores.jsonl"
        )
        parts[name] = scores[:, 0], scores[:, 1], held
    plain, joint, pairs = zip(*parts.values(), strict=True)
    record = {
        "steps": load_recipe(args.recipe, steps=args.steps).steps,
        "all": compare(np.concatenate(plain), np.concatenate(joint), list(chain.from_iterable(pairs))),
        "groups": {name: compare(*part) for name, part in parts.items()},
    }
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record["all"]))


if __name__ == "__main__":
    main()
