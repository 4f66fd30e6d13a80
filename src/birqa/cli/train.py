"""birqa train: weights from rated pairs."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    data: Annotated[Path, typer.Option(help="CSV with ref,dist,mos,split (train, val or test).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Run folder; an unfinished run there goes on.")],
    recipe: Annotated[
        Path | None, typer.Option(help="JSON with fields of the training configuration.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="JSON to put into the model's card.")] = None,
    steps: Annotated[int | None, typer.Option(min=1)] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    device: str = "cpu",
    name: Annotated[str, typer.Option(help="name.tag of the weights.")] = "birqa.custom",
    version: Annotated[str, typer.Option(help="Version of the weights.")] = "1",
) -> None:
    """Train BiRQA on rated pairs; the weights land in OUT/model. Needs birqa[torch]."""
    from birqa.metric import require_torch

    require_torch()
    from birqa.export import save_model
    from birqa.ratings import SPLITS, read_rated_pairs
    from birqa.training.fit import Trainer, load_recipe

    config = load_recipe(recipe, steps=steps, seed=seed)
    try:
        written = {} if card is None else json.loads(card.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{card} is not valid JSON: {error}.") from None
    if not isinstance(written, dict):
        raise ValueError(f"{card}: a JSON object is needed.")
    pairs = read_rated_pairs(data)
    train, val, test = ([pair for pair in pairs if pair.split == split] for split in SPLITS)
    held_out = val or test
    if not held_out:
        print(f"birqa: {data} has no rows with split val or test: nothing is validated.", file=sys.stderr)
    trainer = Trainer(config, train, held_out, out, device)
    started, first = time.monotonic(), trainer.step

    def report(entry: dict[str, Any]) -> None:
        left = (time.monotonic() - started) / (entry["step"] - first) * (config.steps - entry["step"])
        print(json.dumps(entry | {"minutes_left": round(left / 60, 1)}), flush=True)

    trainer.run(report)
    measured = {
        "data": {"pairs": len(train), "references": len({pair.ref for pair in train})},
        "training": config.to_dict(),
        "validation": trainer.log[-1],
    }
    save_model(trainer.average, out / "model", name=name, version=version, card=written | measured)
    print(json.dumps({"model": str(out / "model")}))
