"""Files: written so that nothing half-written is ever left behind, found, told apart, and named in tables."""

import hashlib
import json
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

Result = TypeVar("Result")
LEFT_BEHIND = 24 * 60 * 60
"""Seconds after which nobody still writes to an unfinished file: its process was killed."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; renamed to it on success, removed on failure.

    What is no regular file, such as /dev/stdout, is written to as it is; a link stays one, to the new file.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path = path.resolve()
    part = path.with_name(f".{path.name}.part")
    with suppress(FileNotFoundError):
        if time.time() - part.stat().st_mtime < LEFT_BEHIND:
            # Another process may write to it, and either would put the other's unfinished file in place.
            part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        # Or a power cut could leave the new name on a file without its content.
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def relative_path(file: Path, folder: Path) -> str:
    """`file` as it is named in a table in `folder`; absolute where they are on different drives.

    Links on the way are followed first: of link/../file, text alone would leave out what the link leads to.
    """
    real = Path(os.path.realpath(file.parent), file.name)
    try:
        return Path(os.path.relpath(real, os.path.realpath(folder))).as_posix()
    except ValueError:
        return real.as_posix()


def naming(path: Path, error: str) -> str:
    """The error, with the file's name where it does not carry it."""
    # Of x1.png, 1.png is no mention.
    named = re.search(rf"(?<![\w.-]){re.escape(path.name)}(?![\w-])", error)
    return error if named else f"{path}: {error}"


def same_content(files: Iterable[Path]) -> dict[Path, Path]:
    """Each file -> the first one that holds the same bytes; what does not exist stands for itself."""
    first: dict[str, Path] = {}

    def earliest(file: Path) -> Path:
        if not file.is_file():
            return file
        return first.setdefault(hashlib.sha256(file.read_bytes()).hexdigest(), file)

    return {file: earliest(file) for file in dict.fromkeys(files)}


def walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk, into linked folders too, each but once. Raises OSError for one that may not be read."""
    visited = set()

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        # A link to a folder above would be walked for ever.
        if (real := os.path.realpath(folder)) in visited:
            folders.clear()
            continue
        visited.add(real)
        yield folder, folders, names


def visible_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Sorted, in folders below as well, by their suffix in lower case; hidden files and folders are left out.

    Raises OSError for a folder that may not be read.
    """
    found = []
    for root, folders, files in walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(root, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes
        ]
    return sorted(found)


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
            text = path.read_text(encoding="utf-8")
            # Each line is begun, not ended, by its break: what does not is another file, if of JSON too.
            foreign = text[:1] not in ("", "\n")
            for line in filter(None, text.splitlines()):
                if foreign or not line.startswith("{"):
                    raise ValueError(f"{path} holds no kept results: choose another file for them.")
                # A killed run may leave half a line.
                with suppress(json.JSONDecodeError):
                    self.kept.update(json.loads(line))

    def add(self, fresh: dict[str, Result]) -> None:
        self.kept |= fresh
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(fresh))
