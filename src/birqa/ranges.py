"""What settings may be, and that pictures are there: each in one sentence. Free of torch."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_type_hints

MOST_THREADS = 512

# JSON knows no such types, and Python takes True for 1.
KINDS: dict[Any, tuple[Any, str]] = {
    int: (int, "a whole number"),
    int | None: (int | None, "a whole number or null"),
    float: (int | float, "a number"),
    bool: (bool, "true or false"),
    str: (str, "text"),
}


def is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: object) -> bool:
    """Finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def require_kinds(settings: object, of: str = "") -> None:
    """Raises ValueError for the first field that is no number, truth or text where one is declared.

    `of` is put before the field's name, here and in the functions below.
    """
    for name, declared in get_type_hints(type(settings)).items():
        if declared in KINDS:
            kind, words = KINDS[declared]
            value = getattr(settings, name)
            if not isinstance(value, kind) or (isinstance(value, bool) and declared is not bool):
                raise ValueError(f"{of}{name}={value!r} should be {words}.")


def require_at_least(least: float, settings: object, *names: str, of: str = "") -> None:
    """Raises ValueError for the first of these fields that is below `least` or no finite number."""
    for name in names:
        value = getattr(settings, name)
        if not least <= value < math.inf:
            raise ValueError(f"{of}{name}={value} should be at least {least:g}.")


def require_positive(settings: object, *names: str, of: str = "") -> None:
    """Raises ValueError for the first of these fields that is not above 0 or no finite number."""
    for name in names:
        value = getattr(settings, name)
        if not 0 < value < math.inf:
            raise ValueError(f"{of}{name}={value} should be above 0.")


def require_descent(settings: Any) -> None:
    """Raises ValueError where the fields that every descent has could not train anything."""
    require_kinds(settings)
    require_at_least(1, settings, "steps", "checkpoint_every")
    require_at_least(0, settings, "warmup", "seed")
    require_positive(settings, "learning_rate", "gradient_clip")
    if settings.threads is not None:
        require_at_least(0, settings, "threads")
    if settings.seed >= 2**64:
        raise ValueError(f"seed={settings.seed} should be below 2**64.")
    if not 0 <= settings.average_decay < 1:
        raise ValueError(f"average_decay={settings.average_decay} should be from 0 to below 1.")


def require_pictures(files: Iterable[Path]) -> None:
    """Raises ValueError where some of the files do not exist, before a training meets them hours later."""
    missing = sorted(path for path in set(files) if not path.is_file())
    if missing:
        raise ValueError(f"{len(missing)} pictures do not exist, e.g. {missing[0]}: check the table's paths.")
