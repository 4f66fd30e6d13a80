"""Finding a distortion by its number or, roughly spelt, its name."""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from birqa.data.distortions import Distortion


def find_distortion(
    registry: Mapping[int, Distortion], wanted: str, others: Mapping[int, Distortion] | None = None
) -> Distortion:
    """The distortion whose number or name is `wanted`; case, spaces and hyphens do not matter.

    The beginning of a name will do where no other name begins so. Raises ValueError with the nearest names,
    or says that it is one of the `others`.
    """
    database = next(iter(registry.values())).database
    if wanted.strip().isdecimal():
        if (number := int(wanted)) in registry:
            return registry[number]
        raise ValueError(f"{database} has no type {number}; choose from {min(registry)} to {max(registry)}")
    names = {_plain(distortion.name): distortion for distortion in registry.values()}
    asked = _plain(wanted)
    if asked in names:
        return names[asked]
    begun = [name for name in names if asked and name.startswith(asked)]
    if len(begun) == 1:
        return names[begun[0]]
    if not begun and any(asked == _plain(other.name) for other in (others or {}).values()):
        raise ValueError(f"{database} has no type {wanted!r}, but the other --database has")
    near = begun or get_close_matches(asked, names, n=4, cutoff=0.5)
    near += [name for name in names if len(asked) > 2 and asked in name and name not in near]
    if not near:
        raise ValueError(f"{database} has no type {wanted!r}; choose a number or name of `--grid`")
    listed = ", ".join(f"{names[name].name} ({names[name].number})" for name in near)
    problem = "is more than one type" if begun else "is no type"
    raise ValueError(f"{wanted!r} {problem} of {database}; near it: {listed}")


def _plain(name: str) -> str:
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return letters.replace("color", "colour").replace("quantiz", "quantis").replace("gray", "grey")
