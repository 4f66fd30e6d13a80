"""Writing files so that nothing half-written is ever left behind."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

Result = TypeVar("Result")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; renamed to it on success, removed on failure.

    What is no regular file, such as /dev/stdout, is written to as it is.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        # Or a power cut could leave the new name on a file without its content.
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def file_state(path: Path) -> tuple[int, int]:
    """Size and time, which tell a file that was made again from what it was. Raises OSError for none."""
    state = path.stat()
    return state.st_size, state.st_mtime_ns


class KeptResults(Generic[Result]):
    """Results of long work by a key of what they are of, in JSON lines: a broken run goes on where it was.

    Raises ValueError for a file that holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: dict[str, Result] = {}
        if path.exists():
            for line in filter(None, path.read_text(encoding="utf-8").splitlines()):
                if not line.startswith("{"):
                    raise ValueError(f"{path} holds no kept results: choose another file for them.")
                # A killed run may leave half a line.
                with suppress(json.JSONDecodeError):
                    self.kept.update(json.loads(line))

    def add(self, fresh: dict[str, Result]) -> None:
        self.kept |= fresh
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(fresh))
