"""Table 3 of the BiRQA paper: each defence trained alike on each metric, attacked alike, laid side by side.

    python benchmarks/defences.py build/sets/train.csv build/sets/kadid-test/meta.csv --runs runs/defences \
        --protocol recipes/robustness-defences.json --recipes recipes/defences \
        --cards benchmarks/results/defences --out benchmarks/results/defences.json

Every defence starts from the same weights and takes the same number of steps on the same data; so does
"none", which is the base. A kind is a recipe's name; AAT-3 is AAT with three anchors. What was finished is
kept, and what was broken off goes on: run it again. With pyiqa installed, `--metric pyiqa:lpips` and
`--metric pyiqa:topiq_fr` put these through the same.
"""

import argparse
import csv
import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from birqa.attacks.subjects import Subject, load_subject
from birqa.export import save_model
from birqa.files import replacing
from birqa.pairing import Pair
from birqa.ratings import RatedPair, read_rated_pairs
from birqa.robustness.card import make_card
from birqa.robustness.protocol import load_protocol
from birqa.robustness.subset import stratified
from birqa.training.adapters import DeepFeatures, adapt_pyiqa
from birqa.training.config import TrainingConfig, load_recipe
from birqa.training.fit import Trainer, start_from

ANCHORS = "AAT-"
TABLE = ("none", "R", "AT", "AAT")
CONTROLS = ("AAT+R", "AT-anchors", "AAT-2", "AAT-3", "AAT-8")


def recipe_of(kind: str, folder: Path, direction: str | None) -> TrainingConfig:
    """Its file, or for AAT-K that of AAT with K anchors, all others attacked; `direction` as told."""
    if kind.startswith(ANCHORS):
        config = load_recipe(folder / "AAT.json")
        anchors = int(kind.removeprefix(ANCHORS))
        config = replace(config, defence=replace(config.defence, anchors=anchors, top=config.batch - anchors))
    else:
        config = load_recipe(folder / f"{kind}.json")
    if direction is None or config.defence.kind == "none":
        return config
    return replace(config, defence=replace(config.defence, direction=direction))


def run(
    config: TrainingConfig,
    pairs: list[RatedPair],
    folder: Path,
    start: dict[str, torch.Tensor] | None,
    model: torch.nn.Module | None,
) -> torch.nn.Module:
    torch.manual_seed(config.seed)
    train, held_out = (
        [pair for pair in pairs if (pair.split == "train") == wanted] for wanted in (True, False)
    )
    trainer = Trainer(config, train, held_out, folder, start=start, model=model)
    trainer.run(lambda entry: print(folder.name, json.dumps(entry), flush=True))
    return trainer.result().requires_grad_(False)


def birqa_subject(kind: str, args: argparse.Namespace, pairs: list[RatedPair]) -> Subject:
    name, folder = f"birqa.kadid-{kind.lower()}", args.runs / "birqa" / kind
    config, weights = start_from("birqa.kadid", recipe_of(kind, args.recipes, args.direction))
    # One that was trained already is only read, or refused where its recipe was another.
    trained = run(config, pairs, folder, weights, None)
    if not (folder / "model").exists():
        save_model(trained, folder / "model", name=name, version="1", card={"training": config.to_dict()})
    return load_subject(folder / "model")


def other_subject(metric: str, kind: str, args: argparse.Namespace, pairs: list[RatedPair]) -> Subject:
    """First trained as deep-features.json says: random weights become a metric, what others give scores."""

    def module() -> torch.nn.Module:
        torch.manual_seed(0)
        package, _, name = metric.partition(":")
        return adapt_pyiqa(name) if package == "pyiqa" else DeepFeatures()

    base = args.runs / metric / "start.safetensors"
    base.parent.mkdir(parents=True, exist_ok=True)
    recipe = load_recipe(args.recipes / "deep-features.json")
    trained = run(recipe, pairs, base.parent / "start", None, module())
    if not base.exists():
        with replacing(base) as part:
            save_file(trained.state_dict(), part)
    folder = args.runs / metric / kind
    weights = folder / "weights.safetensors"
    trained = run(recipe_of(kind, args.recipes, args.direction), pairs, folder, load_file(base), module())
    if not weights.exists():
        with replacing(weights) as part:
            save_file(trained.state_dict(), part)
    hardened = module()
    hardened.load_state_dict(load_file(weights))
    hardened.eval().requires_grad_(False)
    fingerprint = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    return Subject(f"{metric}-{kind.lower()}", f"1 {fingerprint}", hardened, {"plain": hardened}, (0.0, 1.0))


METRICS = ("birqa", "deep-features")


def last_entry(folder: Path) -> dict[str, float]:
    """Of a finished run: its steps, the time they took, and what it read on held-out references."""
    with (folder / "curves.csv").open(newline="", encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    return {name: float(last[name]) for name in ("step", "seconds_per_step", "srocc")}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--metric", action="append", help=f"default: {', '.join(METRICS)}; or pyiqa:NAME")
    parser.add_argument(
        "--kind", action="append", help="name of a recipe; default: the table's, and controls"
    )
    parser.add_argument("--direction", help="of the attacks in training, in place of the recipes' (random)")
    parser.add_argument("--name", help="what cards call the test data; default: their folder")
    parser.add_argument("--protocol", type=Path, required=True)
    parser.add_argument("--recipes", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--cards", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="which card is whose, and what training took")
    args = parser.parse_args()
    pairs = read_rated_pairs(args.train)
    protocol = load_protocol(args.protocol)
    test = read_rated_pairs(args.test)
    chosen = stratified(test, protocol.pairs or len(test), protocol.seed)
    name = args.name or args.test.resolve().parent.name
    others = [Pair(pair.ref, pair.dist) for pair in pairs if pair.split == "train"]
    args.cards.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for metric in args.metric or METRICS:
        load = birqa_subject if metric == "birqa" else partial(other_subject, metric)
        kinds = (*TABLE, *CONTROLS) if metric == "birqa" else TABLE
        base = load("none", args, pairs)
        for kind in args.kind or kinds:
            print(f"{metric} {kind} under attack", flush=True)
            card = make_card(
                load(kind, args, pairs),
                name,
                chosen,
                protocol,
                args.runs / f"{metric}.jsonl",
                base,
                train_pairs=others,
                progress=lambda done, of: print(f"{done} of {of}", flush=True),
            )
            file = f"{args.test.resolve().parent.name}-{metric}-{kind}.json"
            with replacing(args.cards / file) as part:
                part.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
            recipe = recipe_of(kind, args.recipes, args.direction)
            rows.append(
                {"metric": metric, "kind": kind, "card": file, "defence": recipe.to_dict()["defence"]}
                | last_entry(args.runs / metric / kind)
            )
    with replacing(args.out) as part:
        part.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
