"""Names to models: `name`, `name.tag`, or a folder with weights."""

from pathlib import Path

from birqa.model import Model, load_model

WEIGHTS = Path(__file__).parent / "weights"
# The tag that a bare name stands for.
DEFAULT_TAG = {"birqa": "kadid"}


def list_models() -> list[Model]:
    """The models in the package, by name."""
    return [load_model(path.parent) for path in sorted(WEIGHTS.glob("*/model.json"))]


def find_model(name: str | Path) -> Model:
    """Raises ValueError that lists what there is for an unknown name."""
    text = str(name)
    folder = WEIGHTS / (f"{text}.{DEFAULT_TAG[text]}" if text in DEFAULT_TAG else text)
    if (folder / "model.json").exists() and folder.parent == WEIGHTS:
        return load_model(folder)
    if Path(name).is_dir():
        return load_model(Path(name))
    known = sorted([*DEFAULT_TAG, *(path.parent.name for path in WEIGHTS.glob("*/model.json"))])
    raise ValueError(f"there is no metric {text!r}: use one of {', '.join(known)}, or a folder with weights.")
