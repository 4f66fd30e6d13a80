"""birqa metrics: what there is."""

import json
from typing import Any

from birqa.cli import options


def command(as_json: options.Json = False) -> None:
    """List the metrics in this installation."""
    from birqa.registry import DEFAULT_TAG, list_models

    default = {f"{name}.{tag}" for name, tag in DEFAULT_TAG.items()}
    rows: list[dict[str, Any]] = [
        {
            "metric": model.name,
            "default": model.name in default,
            "version": model.version,
            "kind": model.kind,
            "range": [0, 1],
            "higher_is_better": True,
            "summary": model.card.get("summary", ""),
        }
        for model in list_models("full-reference", "no-reference")
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        mark = " (default)" if row["default"] else ""
        scale = f"{row['kind']}, 0..1, higher is better"
        print(f"{row['metric']}{mark}  {row['version']}  {scale}  {row['summary']}")
