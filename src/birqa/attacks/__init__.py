"""Attacks on any metric: `(dist, ref) -> scores`, higher better (see `birqa.attacks.base`)."""

from dataclasses import fields
from typing import Any

from birqa.attacks.apgd import APGD
from birqa.attacks.autoattack import AutoAttack
from birqa.attacks.base import Attack, Goal, Metric, bidirectional
from birqa.attacks.cw import CW
from birqa.attacks.facpa import FACPA
from birqa.attacks.fgsm import FGSM
from birqa.attacks.honest import Honest
from birqa.attacks.korhonen import KorhonenYou
from birqa.attacks.parsimonious import Parsimonious
from birqa.attacks.pgd import IFGSM, PGD
from birqa.attacks.square import Square
from birqa.attacks.trained import TrainedAttack
from birqa.attacks.uap import UAP
from birqa.attacks.zhang import Zhang

ATTACKS: dict[str, type[Attack]] = {
    attack.name: attack
    for attack in (
        *(Honest, FGSM, IFGSM, PGD, CW, APGD, AutoAttack, FACPA, Zhang, KorhonenYou, UAP),
        *(Square, Parsimonious),
    )
}
"""By name, in the order of reports."""

__all__ = ["ATTACKS", "Attack", "Goal", "Metric", "TrainedAttack", "bidirectional", "create_attack"]


def create_attack(name: str, /, **settings: Any) -> Attack:
    """An attack by its name in `ATTACKS`, with settings: fields of its class, such as `steps=20`.

    Raises ValueError for a name or setting that is not known, and for a setting that cannot be.
    """
    if name not in ATTACKS:
        raise ValueError(f"there is no attack {name!r}; choose from {', '.join(ATTACKS)}.")
    known = [field.name for field in fields(ATTACKS[name])]
    unknown = [setting for setting in settings if setting not in known]
    if unknown:
        raise ValueError(f"{name} has no setting {unknown[0]!r}; it has {', '.join(known)}.")
    defaults = ATTACKS[name]()
    for setting, value in settings.items():
        default = getattr(defaults, setting)
        if isinstance(default, Attack) and isinstance(value, dict):
            settings[setting] = create_attack(default.name, **value)
        elif isinstance(default, tuple) and _are_numbers(value):
            settings[setting] = tuple(value)
        elif not isinstance(value, (int, float) if isinstance(default, float) else type(default)):
            raise ValueError(f"{name}: {setting}={value!r} should be like {default!r}.")
    return ATTACKS[name](**settings)


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | float) for one in value)
