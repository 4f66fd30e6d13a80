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
    packaged = {path.parent.name for path in WEIGHTS.glob("*/model.json")}
    # A Path always means a folder of the user's, whatever it is called.
    if isinstance(name, str):
        tag = f"{name}.{DEFAULT_TAG[name]}" if name in DEFAULT_TAG else name
        if tag in packaged:
            return load_model(WEIGHTS / tag)
    if Path(name).is_dir():
        return load_model(Path(name))
    known = ", ".join(sorted({*DEFAULT_TAG, *packaged}))
    raise ValueError(f"there is no metric '{name}': use one of {known}, or a folder with weights.")
