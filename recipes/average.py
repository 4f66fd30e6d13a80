"""The mean of the weights of two models of one shape, as a model of its own.

    python recipes/average.py BEFORE/model AFTER/model MEAN/model --name birqa.kadid-aat --version 4 \
        --card recipes/birqa.kadid-aat.card.json

Two points of one descent, where their mean often is better than either: Wortsman et al., "Model soups", ICML
2022. Configuration and card are those of the second, whose features may have another floor than the first's;
the card tells of its training, without what was measured of its own weights.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from birqa.engines.torch import load_module
from birqa.export import save_model
from birqa.model import load_model
from birqa.training.recipes import read_card


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs=2, help="model folders")
    parser.add_argument("out", type=Path, help="model folder to write")
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--card", type=Path, required=True)
    args = parser.parse_args()
    models = [load_model(folder) for folder in args.models]
    first, second = (load_module(model).state_dict() for model in models)
    if replace(models[0].config, feature_floor=models[1].config.feature_floor) != models[1].config:
        raise SystemExit(f"{args.models[0]} and {args.models[1]} are not of one configuration.")
    mean = load_module(models[1])
    mean.load_state_dict({name: (first[name] + value) / 2 for name, value in second.items()})
    told = {name: models[1].card[name] for name in ("data", "training") if name in models[1].card}
    averaged = {"mean_of": [model.label for model in models]}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_model(
        mean, args.out, name=args.name, version=args.version, card=read_card(args.card) | told | averaged
    )


if __name__ == "__main__":
    main()
