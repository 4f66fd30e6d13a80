"""What a robustness card is measured with: pictures, budgets and attacks, from a JSON file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from birqa.attacks import Attack, create_attack
from birqa.attacks.base import check_budgets


@dataclass(frozen=True)
class Protocol:
    """Cards can be compared where all of this and the data are the same."""

    attacks: tuple[Attack, ...] = tuple(
        create_attack(name, eight_bit=True) for name in ("fgsm", "pgd", "cw", "autoattack", "square")
    )
    budgets: tuple[float, ...] = (2 / 255, 4 / 255, 8 / 255, 10 / 255)
    headline: float = 8 / 255
    """The budget that tables show; one of `budgets`."""
    pairs: int = 500
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
        if self.domain not in ("quantile", "neural"):
            raise ValueError(f"domain={self.domain!r} should be quantile or neural.")
        if self.headline not in self.budgets:
            raise ValueError(f"headline={self.headline:.4g} should be one of the budgets.")

    def to_dict(self) -> dict[str, Any]:
        record = {name: value for name, value in asdict(self).items() if name != "attacks"}
        return record | {"attacks": [attack.settings() for attack in self.attacks]}


def load_protocol(path: Path) -> Protocol:
    """Fields of `Protocol`; budgets in units of 1/255, attacks as {"attack": name, setting: value}.

    Attacks save 8-bit pictures unless they say `"eight_bit": false`. Raises ValueError naming what is wrong.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        for name, value in record.items():
            if name == "budgets":
                record[name] = tuple(budget / 255 for budget in value)
            elif name == "headline":
                record[name] = value / 255
            elif name == "attacks":
                record[name] = tuple(_attack(dict(one)) for one in value)
        return Protocol(**record)
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no protocol ({error}): see recipes/robustness.json.") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _attack(settings: dict[str, Any]) -> Attack:
    return create_attack(settings.pop("attack"), **{"eight_bit": True, **settings})
