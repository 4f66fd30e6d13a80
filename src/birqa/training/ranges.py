"""What the settings of a training may be."""

import math


def require_at_least(least: float, settings: object, *names: str) -> None:
    """Raises ValueError for the first of these fields that is below `least` or no finite number."""
    for name in names:
        value = getattr(settings, name)
        if not least <= value < math.inf:
            raise ValueError(f"{name}={value} should be at least {least:g}.")
