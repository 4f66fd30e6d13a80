"""Names to models: `name`, `name.tag`, or a folder with weights."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from birqa.model import Kind, Model, load_model

WEIGHTS = Path(__file__).parent / "weights"
# The tag that a bare name stands for.
DEFAULT_TAG = {"birqa": "kadid", "blind": "clive-kadid", "denoiser": "blind"}
USE: dict[Kind, str] = {
    "full-reference": "compares pictures with references (birqa score)",
    "no-reference": "scores single pictures (birqa blind)",
    "denoiser": "cleans pictures for a certificate (birqa certify --denoiser)",
}


def list_models(*kinds: Kind) -> list[Model]:
    """The models in the package, by name; all, or those of the kinds given."""
    models = (load_model(path.parent) for path in sorted(WEIGHTS.glob("*/model.json")))
    return [model for model in models if not kinds or model.kind in kinds]


def must_be_tested(model: Model, device: str) -> bool:
    """Whether an engine has to pass the self-test: the package's own weights have done so with the package's
    tests, on a CPU."""
    return model.folder.parent != WEIGHTS or device != "cpu"


def find_model(name: str | Path, *kinds: Kind) -> Model:
    """The model of that name; full-reference where no kinds are given.

    Raises ValueError that lists what there is for an unknown name, and says what one of another kind is for.
    """
    kinds = kinds or ("full-reference",)
    if not isinstance(name, str | Path):
        raise ValueError(f"name={name!r} should be a metric's name, or a folder with weights.")
    model = _find(name, kinds)
    if model.kind not in kinds:
        raise ValueError(
            f"{model.name} {USE[model.kind]}, but what is needed {_any_of(USE[kind] for kind in kinds)}: "
            f"use {_any_of([*(one.name for one in list_models(*kinds)), 'a folder'])}."
        )
    return model


def full_name(name: str | Path) -> str | Path:
    """name.tag of what is in the package under a short name; any other as it is."""
    # A Path always means a folder of the user's, whatever it is called.
    short = isinstance(name, str) and name in DEFAULT_TAG
    return f"{name}.{DEFAULT_TAG[str(name)]}" if short else name


def _any_of(words: Iterable[str]) -> str:
    return " or ".join(words)


def _find(name: str | Path, kinds: Sequence[Kind]) -> Model:
    packaged = {path.parent.name for path in WEIGHTS.glob("*/model.json")}
    tag = full_name(name)
    if isinstance(tag, str) and tag in packaged:
        return load_model(WEIGHTS / tag)
    if Path(name).is_dir():
        return load_model(Path(name))
    suitable = {model.name for model in list_models(*kinds)}
    short = {one for one, its_tag in DEFAULT_TAG.items() if f"{one}.{its_tag}" in suitable}
    known = ", ".join(sorted(short | suitable))
    if isinstance(name, Path) and full_name(str(name)) in packaged:
        raise ValueError(f"there is no folder {name}: give the metric's name as text, {str(name)!r}.")
    what = "denoiser" if set(kinds) == {"denoiser"} else "metric"
    raise ValueError(f"there is no {what} '{name}': use one of {known}, or a folder with weights.")
