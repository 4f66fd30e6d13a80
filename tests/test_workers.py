"""Worker processes: prepared before the work, and gone with their parent."""

import os
import signal
import subprocess
import sys
import time
from operator import add

import pytest

from birqa.workers import start_workers

PARENT = """
import os, time
from birqa.workers import start_workers

if __name__ == "__main__":
    pool = start_workers(1, int)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600)
    time.sleep(600)
"""


def test_workers_are_prepared_and_answer():
    with start_workers(2, sys.setrecursionlimit, 1234) as pool:
        assert list(pool.map(add, range(4), range(4))) == [0, 2, 4, 6]
        assert pool.submit(sys.getrecursionlimit).result() == 1234


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_killed_parent(tmp_path, how):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)
        parent.send_signal(how)
        parent.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")
