"""birqa train: weights from rated pairs."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    data: Annotated[Path, typer.Option(help="CSV with ref,dist,mos,split; split is train or test.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Run folder; an unfinished run there goes on.")],
    recipe: Annotated[
        Path | None, typer.Option(help="JSON with fields of the training configuration.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="JSON to put into the model's card.")] = None,
    steps: Annotated[int | None, typer.Option(min=1)] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    device: str = "cpu",
    name: Annotated[str, typer.Option(help="name.tag of the weights.")] = "birqa.custom",
) -> None:
    """Train BiRQA on rated pairs; the weights land in OUT/model. Needs birqa[torch]."""
    from birqa.metric import require_torch

    require_torch()
    from birqa.export import save_model
    from birqa.ratings import read_rated_pairs
    from birqa.training.fit import Trainer, load_recipe

    config = load_recipe(recipe, steps=steps, seed=seed)
    pairs = read_rated_pairs(data)
    train = [pair for pair in pairs if pair.split != "test"]
    trainer = Trainer(config, train, [pair for pair in pairs if pair.split == "test"], out, device)
    started, first = time.monotonic(), trainer.step

    def report(entry: dict[str, Any]) -> None:
        left = (time.monotonic() - started) / (entry["step"] - first) * (config.steps - entry["step"])
        print(json.dumps(entry) + f"  {left / 60:.0f} min left", flush=True)

    trainer.run(report)
    written = {} if card is None else json.loads(card.read_text(encoding="utf-8"))
    measured = {
        "data": {"pairs": len(train), "references": len({pair.ref for pair in train})},
        "training": config.to_dict(),
        "validation": trainer.log[-1],
    }
    save_model(trainer.average, out / "model", name=name, version="1", card=written | measured)
    print(f"{out / 'model'}: use it with --metric {out / 'model'}")
