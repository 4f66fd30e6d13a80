"""Processes for work that takes one core too long."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def start_workers(count: int, prepare: Callable[..., object], *arguments: Any) -> ProcessPoolExecutor:
    """A pool of `count` processes, each of which calls `prepare(*arguments)` first.

    They end with their parent, even if that is killed. In a script, use this under
    `if __name__ == "__main__":`.
    """
    # Forking a process that has already started threads (PyTorch, OpenCV) can hang; spawning cannot.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, context, initializer=_prepare, initargs=(prepare, *arguments))


def _prepare(prepare: Callable[..., object], *arguments: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
