"""Recipes and cards: JSON files that say how weights are made and what they are for."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from birqa.ranges import is_number
from birqa.training.descent import Schedule


@dataclass(frozen=True)
class Recipe:
    """Parts of a training: each is a frozen record of its own."""

    network: Any
    training: Any
    schedule: Schedule

    def to_dict(self) -> dict[str, Any]:
        return {part.name: asdict(getattr(self, part.name)) for part in fields(self)}


AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


def read_parts(path: Path | None, defaults: AnyRecipe, steps: int | None = None) -> AnyRecipe:
    """`defaults` with the fields that the file gives, part by part, and with `steps` where given.

    Raises ValueError for damaged JSON, unknown parts or fields, and values of another kind than the default.
    """
    recipe = defaults
    for part, values in (read_object(path) if path else {}).items():
        if part not in {one.name for one in fields(defaults)}:
            raise ValueError(f"{path}: there is no part {part!r}; use network, training and schedule.")
        if not isinstance(values, dict):
            raise ValueError(f"{path}: part {part!r} should be a JSON object.")
        known = getattr(defaults, part)
        names = {one.name for one in fields(known)}
        for name, value in values.items():
            default = getattr(known, name, None)
            wanted = (int, float) if isinstance(default, float) else type(default)
            if name not in names:
                raise ValueError(f"{path}: {part} has no field {name!r}; it has {', '.join(sorted(names))}.")
            if isinstance(default, tuple) and isinstance(value, list):
                if not all(is_number(one) for one in value):
                    raise ValueError(f"{path}: {part}.{name}={value!r} should be numbers.")
                values[name] = tuple(value)
            elif default is not None and (
                not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(default, bool))
            ):
                raise ValueError(f"{path}: {part}.{name}={value!r} should be like {default!r}.")
        recipe = replace(recipe, **{part: replace(known, **values)})
    if steps is not None:
        recipe = replace(recipe, schedule=replace(recipe.schedule, steps=steps))
    return recipe


def read_card(path: Path | None) -> dict[str, Any]:
    """What a person wrote of the weights; empty without a file. Raises ValueError for damaged JSON."""
    return {} if path is None else read_object(path)


def refuse_other_network(label: str, network: Any, asked: Any, free: str) -> None:
    """Raises ValueError where a recipe asks of the weights of that label for another network than they have:
    for fields that are neither theirs nor the default, but the free one."""
    usual = type(asked)()
    for one in fields(asked):
        wanted, has = getattr(asked, one.name), getattr(network, one.name)
        if one.name != free and wanted not in (has, getattr(usual, one.name)):
            raise ValueError(
                f"the recipe's network asks for {one.name}={wanted!r}, but {label} has {has!r}: leave it "
                "out of the recipe, or train without --from."
            )


def read_object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: a JSON object is needed.")
    return values
