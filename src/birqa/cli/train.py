"""birqa train: weights from rated pairs."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from birqa.cli import options


def command(
    data: Annotated[Path, typer.Option(help="CSV with ref,dist,mos,split (train, val or test).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Run folder; an unfinished run there goes on.")],
    recipe: Annotated[
        Path | None, typer.Option(help="JSON with fields of the training configuration.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Fine-tune these weights: a metric's name, name.tag, or a folder."),
    ] = None,
    card: options.Card = None,
    steps: Annotated[int | None, typer.Option(min=1)] = None,
    batch: Annotated[int | None, typer.Option(min=2)] = None,
    crop: Annotated[
        int | None, typer.Option(min=0, help="Side of the crops, a multiple of 8; 0 takes whole pictures.")
    ] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    mos_range: options.MosRange = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.")] = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="How many of them on each machine (torchrun).")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="How many machines (torchrun).")] = 1,
    precision: Annotated[
        Literal["32-true", "bf16-mixed"] | None, typer.Option(help="Arithmetic of the network.")
    ] = None,
    name: options.WeightsName = "birqa.custom",
    version: options.WeightsVersion = "1",
) -> None:
    """Train BiRQA on rated pairs; the weights land in OUT/model. Needs birqa\\[torch].

    On several devices or machines: torchrun --nproc-per-node N -m birqa train ... --devices N [--nodes M].
    """
    from birqa.metric import require_torch

    require_torch()
    from birqa.export import check_model_folder, save_model
    from birqa.network.birqa import BiRQA
    from birqa.ratings import SPLITS, check_leakage, read_rated_pairs, rescaled
    from birqa.training.config import FINE_TUNING, load_recipe
    from birqa.training.fit import Trainer, start_from
    from birqa.training.recipes import read_card

    overrides: dict[str, Any] = {
        "steps": steps,
        "batch": batch,
        "crop": crop,
        "seed": seed,
        "precision": precision,
    }
    if start is not None and recipe is None:
        overrides = FINE_TUNING | {key: value for key, value in overrides.items() if value is not None}
    config = load_recipe(recipe, **overrides)
    written = read_card(card)
    check_model_folder(out / "model")
    pairs = read_rated_pairs(data)
    check_leakage(pairs)
    if mos_range is not None:
        pairs = rescaled(pairs, *mos_range)
    train, val, test = ([pair for pair in pairs if pair.split == split] for split in SPLITS)
    held_out = val or test
    if not held_out:
        print(f"birqa: {data} has no rows with split val or test: nothing is validated.", file=sys.stderr)
    elif not val and config.keep == "best":
        print(
            f"birqa: {data} has no rows with split val, so the weights are chosen on its test rows, and what "
            "they measure there flatters them: mark some rows val, or set keep to last in the recipe.",
            file=sys.stderr,
        )
    weights = None
    if start is not None:
        config, weights = start_from(start, config)
    fabric = _fabric(device, devices, nodes)
    source = {"table": str(data.resolve()), "mos_range": mos_range}
    trainer = Trainer(config, train, held_out, out, fabric, weights, data=source)
    started, first = time.monotonic(), trainer.step

    def report(entry: dict[str, Any]) -> None:
        left = (time.monotonic() - started) / (entry["step"] - first) * (config.steps - entry["step"])
        print(json.dumps(entry | {"minutes_left": round(left / 60, 1)}), flush=True)

    trainer.run(report)
    if not fabric.is_global_zero:
        return
    if first == config.steps and (out / "model").exists():
        print(f"birqa: {out} was finished before; its model is left as it is.", file=sys.stderr)
        print(json.dumps({"model": str(out / "model")}))
        return
    model = cast(BiRQA, trainer.result())
    measured = {
        "data": {"pairs": len(train), "references": len({pair.ref for pair in train})},
        "training": config.to_dict(),
        "validation": trainer.result_validation(),
    }
    save_model(model, out / "model", name=name, version=version, card=written | measured)
    print(json.dumps({"model": str(out / "model")}))


def _fabric(device: str, devices: int, nodes: int) -> Any:
    """Fabric for these devices. Raises ValueError where there are no such devices."""
    from lightning_fabric import Fabric

    # torchrun has started the processes already; each of them must know how many there are.
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", devices))
    try:
        # Its own mixed precision would round the pictures to bfloat16 before the features see them.
        fabric = Fabric(accelerator=device, devices=devices, num_nodes=nodes)
    except Exception as error:
        # Fabric raises several kinds, of its own too.
        raise ValueError(f"{devices} x {device!r} cannot be used here: {error}") from None
    fabric.launch()
    return fabric
