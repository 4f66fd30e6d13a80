"""What a robustness card is measured with: pictures, budgets and attacks, from a JSON file."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from birqa.attacks import Attack, TrainedAttack, create_attack
from birqa.attacks.base import check_budgets
from birqa.pyramid import MINIMUM_SIDE
from birqa.ranges import is_number


@dataclass(frozen=True)
class Protocol:
    """Cards can be compared where all of this and the data are the same."""

    attacks: tuple[Attack, ...] = (
        *(create_attack(name, eight_bit=True) for name in ("honest", "fgsm", "pgd", "cw")),
        create_attack("autoattack", eight_bit=True, apgd={"steps": 30}, square={"queries": 60}),
    )
    """By default weaker than their authors' where that takes hours on a CPU."""
    budgets: tuple[float, ...] = (2 / 255, 4 / 255, 8 / 255, 10 / 255)
    headline: float = 8 / 255
    """The budget that tables show; one of `budgets`."""
    pairs: int = 75
    """How many pairs of the data are attacked, spread evenly (see `stratified`); 0 takes all."""
    crop: int = 0
    """Side of the square that is cut from the middle of each picture, in pixels; 0 takes whole pictures."""
    seed: int = 0
    domain: Literal["quantile", "neural"] = "quantile"
    """How metrics are brought to one domain for the IR-Score: see `common_domain` and `neural_domain`."""
    train_steps: int = 200
    """Of attacks that are trained, for each direction."""
    train_crop: int = 192

    def __post_init__(self) -> None:
        if not self.attacks:
            raise ValueError("a protocol needs at least one attack.")
        check_budgets(self.budgets)
        # Cards and pages know an attack by its name, and its results by their budgets.
        for what, values in (("attacks", [one.name for one in self.attacks]), ("budgets", self.budgets)):
            if len(set(values)) < len(values):
                raise ValueError(
                    f"{what} has one of them twice: give each once, and others a card of their own."
                )
        if self.domain not in ("quantile", "neural"):
            raise ValueError(f"domain={self.domain!r} should be quantile or neural.")
        if self.headline not in self.budgets:
            raise ValueError(f"headline={self.headline:.4g} should be one of the budgets.")
        if min(self.budgets) < 1 / 255 and any(one.eight_bit for one in self.attacks):
            raise ValueError(
                f"a budget of {255 * min(self.budgets):.4g}/255 is below one grey level, so pictures of "
                'whole levels cannot move: raise it, or let the attacks say "eight_bit": false.'
            )
        for name in ("pairs", "seed", "train_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} should not be below 0.")
        untrained = [one.name for one in self.attacks if isinstance(one, TrainedAttack)]
        if untrained and not self.train_steps:
            raise ValueError(f"train_steps=0 would leave {untrained[0]} untrained: give at least 1.")
        for name in ("crop", "train_crop"):
            side = getattr(self, name)
            if side != 0 and side < MINIMUM_SIDE:
                raise ValueError(
                    f"{name}={side} should be at least {MINIMUM_SIDE} pixels, or 0 for whole pictures."
                )

    def to_dict(self) -> dict[str, Any]:
        record = {name: value for name, value in asdict(self).items() if name != "attacks"}
        return record | {"attacks": [attack.settings() for attack in self.attacks]}


LEAST = 0.5
"""Of the budgets in a file: half a grey level, below which not even a source of 16 bits is moved."""
USUAL = Protocol(crop=128)
"""Where none is given: few pictures and short attacks, for a CPU."""


def load_protocol(path: Path) -> Protocol:
    """Fields of `Protocol`; budgets in units of 1/255, attacks as {"attack": name, setting: value}.

    Attacks save 8-bit pictures unless they say `"eight_bit": false`. Raises ValueError naming what is wrong.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no protocol ({error}): see recipes/robustness.json.") from None
    if not isinstance(record, dict):
        raise ValueError(f"{path} is no protocol, which is a JSON object: see recipes/robustness.json.")
    try:
        return Protocol(**{name: _field(name, value) for name, value in record.items()})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _field(name: str, value: Any) -> Any:
    """A field of `Protocol` from its form in the file."""
    defaults = {field.name: field.default for field in fields(Protocol)}
    if name not in defaults:
        raise ValueError(f"a protocol has no field {name!r}; it has {', '.join(defaults)}.")
    if name == "attacks":
        if not isinstance(value, list) or not all(map(_names_attack, value)):
            raise ValueError(
                f'attacks={value!r} should be a list such as [{{"attack": "pgd", "steps": 10}}].'
            )
        return tuple(_attack(one) for one in value)
    if name == "budgets":
        if not isinstance(value, list) or not value or not all(map(_is_budget, value)):
            raise ValueError(
                f"budgets={value!r} should be a list of numbers of 255ths, each from {LEAST:g} (half a grey "
                "level; less changes nothing) to 255, such as [2, 8] for 2/255 and 8/255."
            )
        return tuple(budget / 255 for budget in value)
    if name == "headline":
        if not _is_budget(value):
            raise ValueError(f"headline={value!r} should be one of the budgets, such as 8 for 8/255.")
        return value / 255
    if type(value) is not type(defaults[name]):
        raise ValueError(f"{name}={value!r} should be like {defaults[name]!r}.")
    return value


def _is_budget(value: Any) -> bool:
    return is_number(value) and LEAST <= value <= 255


def _names_attack(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("attack"), str)


def _attack(record: dict[str, Any]) -> Attack:
    settings = {name: value for name, value in record.items() if name != "attack"}
    return create_attack(record["attack"], **{"eight_bit": True, **settings})
