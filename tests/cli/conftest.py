"""The command line inside this process: its exit code and what it prints."""

import re
import sys
from dataclasses import dataclass

import pytest
from PIL import Image

import birqa.cli


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def complaint(self):
        """What stderr says, without the frame that Typer draws round mistaken options."""
        return " ".join(re.sub("[─-╿]", " ", self.err).split())


@pytest.fixture
def cli(monkeypatch, capsys):
    """cli(*arguments) -> Answer; fails on anything but an orderly exit."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["birqa", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("NO_COLOR", "1")
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            birqa.cli.run()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Answer(caught.value.code or 0, printed.out, printed.err)

    return run


@pytest.fixture
def refuses(cli):
    """refuses(message, *arguments): exit code 2, nothing on stdout, `message` in one sentence on stderr."""

    def run(message, *arguments):
        answer = cli(*arguments)
        assert answer.code == 2, answer
        assert answer.out == ""
        assert message in answer.complaint
        if answer.err.startswith("birqa: "):
            assert answer.err.count("\n") == 1
        else:
            # Typer frames mistaken options under a line of usage.
            assert answer.err.startswith("Usage: ")
        return answer

    return run


@pytest.fixture
def folder(tmp_path, photographs, damage):
    """ref/{a,b,c}.png and dist/{a.jpg,b.png,c.png}: c alike, b a little noisy, a very noisy."""
    for name, picture, sigma in zip("abc", photographs, (45, 6, 0), strict=True):
        for side, pixels in (("ref", picture), ("dist", damage("noise", picture, sigma))):
            path = tmp_path / side / f"{name}{'.webp' if (side, name) == ('dist', 'a') else '.png'}"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path, lossless=True)
    return tmp_path
