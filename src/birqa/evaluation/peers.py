"""Other people's metrics behind one call, so that they can be measured beside ours on the same pairs.

A peer is named by a spec:

    birqa, birqa.kadid          a metric of this library
    piq:vsi                     a function of the piq package
    pyiqa:topiq_fr              a metric of the pyiqa package
    torchmetrics:ms-ssim        psnr, psnr-luma, ssim or ms-ssim of torchmetrics (the last two on luma)
    python:package.module:name  a callable (dist, ref) -> float on arrays (H, W, 3), as the files hold them
    csv:scores.csv              scores computed elsewhere, with columns ref, dist, score, or those of
                                `birqa eval --scores` without peers; csv:scores.csv#piq:vsi names the column
    command:tool {ref} {dist}   a program that prints the score as its last word

A "-" before one of the last three says that smaller is better; of the others that is known.
"""

import hashlib
import importlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np

from birqa.files import file_state
from birqa.images import to_float
from birqa.pairing import Pair
from birqa.ratings import read_table

OF_FILES = ("csv", "command")
"""Kinds of peers that score files, and do not look at decoded pictures."""
Score = Callable[[np.ndarray, np.ndarray, Pair], float]
"""(dist, ref, pair): two decoded pictures (H, W, 3) and the files that they are from."""


@dataclass(frozen=True)
class Peer:
    """`score` is oriented: larger is better, whatever the metric's own direction."""

    name: str
    score: Score


def refuse_minus(spec: str, kind: str) -> None:
    """Raises ValueError for a - before a metric whose direction is known; `kind` is what stands before the
    colon."""
    if spec.startswith("-") and kind not in ("python", "csv", "command"):
        raise ValueError(f"{spec}: which way {spec[1:]} counts is known, so leave the - out.")


def load_peer(spec: str, threads: int | None = None) -> Peer:
    """The metric that `spec` names.

    Raises ValueError for a spec that cannot be understood, ImportError naming a package that is missing.
    """
    negated = spec.startswith("-")
    kind, colon, rest = spec.removeprefix("-").partition(":")
    loaders: dict[str, Callable[[str], tuple[Score, bool]]] = {
        "piq": _piq,
        "pyiqa": _pyiqa,
        "torchmetrics": _torchmetrics,
        "python": _python,
        "csv": _csv,
        "command": _command,
    }
    refuse_minus(spec, kind)
    if not colon:
        score, larger_is_better = _own(kind, threads)
    elif kind in loaders and rest:
        score, larger_is_better = loaders[kind](rest)
    else:
        known = ", ".join(f"{name}:..." for name in loaders)
        raise ValueError(f"{spec!r} names no metric: use one of birqa's or {known}.")
    if larger_is_better != negated:
        return Peer(spec.removeprefix("-"), score)
    return Peer(spec.removeprefix("-"), lambda dist, ref, pair: -score(dist, ref, pair))


def score_of_arrays(spec: str, made: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """(dist, ref) -> the score of a peer that looks at pictures, not at files; `made` is what it is asked of.

    Raises what `load_peer` raises, and ValueError for one that scores files.
    """
    if spec.removeprefix("-").partition(":")[0] in OF_FILES:
        raise ValueError(f"{spec} scores files, not {made}.")
    peer, nowhere = load_peer(spec), Pair(Path(), Path())
    return lambda dist, ref: peer.score(dist, ref, nowhere)


def fingerprint(spec: str) -> str:
    """All that decides the scores of a peer beside the pictures, as far as it is known.

    The weights of a metric of ours, the version of a package, the content of a table or of a callable's
    module, size and time of the files that a command's line names. Raises what `load_peer` raises.
    """
    kind, colon, rest = spec.removeprefix("-").partition(":")
    if not colon:
        from birqa.registry import find_model

        return f"{spec} {find_model(kind).digest}"
    if kind == "command":
        words = [shutil.which(word) or word for word in shlex.split(rest)]
        return " ".join([spec, *(str(file_state(Path(word))) for word in words if Path(word).is_file())])
    if kind == "csv":
        return f"{spec} {hashlib.sha256(table_of(rest)[0].read_bytes()).hexdigest()}"
    if kind == "python":
        return f"{spec} {source_digest(rest)}"
    return f"{spec} {getattr(importlib.import_module(kind), '__version__', '')}"


def source_digest(path: str) -> str:
    """sha256 of the module that "package.module:name" is in; empty for what is built into Python."""
    file = _import(path.partition(":")[0]).__file__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def check_names(spec: str, pairs: Sequence[Pair]) -> None:
    """Raises ValueError where a csv: peer leaves open which of its scores belongs to which of the pairs."""
    kind, _, rest = spec.removeprefix("-").partition(":")
    if kind == "csv":
        _Table(*table_of(rest)).check(pairs)


def table_of(rest: str) -> tuple[Path, str]:
    """The file of scores that a csv: peer names, and which column of it; "" for the only one."""
    file, _, column = rest.rpartition("#")
    return (Path(file), column) if file and not Path(rest).exists() else (Path(rest), "")


def _own(name: str, threads: int | None) -> tuple[Score, bool]:
    from birqa.metric import create_full_reference

    metric = create_full_reference(name, threads=threads)
    return lambda dist, ref, pair: float(metric(dist, ref)[0]), True


def _planes(*images: np.ndarray) -> list[Any]:
    import torch

    return [torch.from_numpy(to_float(image).transpose(2, 0, 1)[None].copy()) for image in images]


# piq's names, and whether larger is better.
PIQ = {
    "psnr": True,
    "ssim": True,
    "multi_scale_ssim": True,
    "vif_p": True,
    "fsim": True,
    "vsi": True,
    "haarpsi": True,
    "srsim": True,
    "gmsd": False,
    "multi_scale_gmsd": False,
    "mdsi": False,
    "dss": True,
}


def piq_function(name: str) -> Callable[..., Any]:
    """A function of piq by its name there; see `PIQ` for which way it counts."""
    if name not in PIQ:
        raise ValueError(f"piq:{name} is not known: choose one of {', '.join(PIQ)}.")
    function: Callable[..., Any] = getattr(_import_piq(), name)
    return function


def _piq(name: str) -> tuple[Score, bool]:
    function = piq_function(name)

    def score(dist: np.ndarray, ref: np.ndarray, pair: Pair) -> float:
        import torch

        with torch.no_grad():
            return float(function(*_planes(dist, ref)))

    return score, PIQ[name]


def _import_piq() -> Any:
    """piq imports torchvision for networks that no metric of `PIQ` uses; without it, a stand-in serves.

    A torchvision that does not fit the installed build of torch fails on import (RuntimeError).
    """
    if "piq" in sys.modules:
        return sys.modules["piq"]
    if importlib.util.find_spec("piq") is None:
        raise ImportError("this metric needs piq: pip install --no-deps piq.")
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        names = (
            "torchvision",
            "torchvision.models",
            "torchvision.models.inception",
            "torchvision.transforms",
        )
        stand_ins = {name: _StandIn(name) for name in names}
        sys.modules.update(stand_ins)
        try:
            return importlib.import_module("piq")
        finally:
            # Nobody else must mistake the stand-in for the package.
            for name in stand_ins:
                sys.modules.pop(name, None)
    return importlib.import_module("piq")


class _Anything(type):
    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class _Absent(metaclass=_Anything):
    """Any class or function of a package that is not there; it can be named and subclassed, not used."""


class _StandIn(types.ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent


def pyiqa_metric(name: str, **settings: Any) -> Any:
    """A metric of pyiqa, made with its own settings."""
    if importlib.util.find_spec("pyiqa") is None:
        raise ImportError(f"pyiqa:{name} needs the pyiqa package: pip install pyiqa.")
    return importlib.import_module("pyiqa").create_metric(name, **settings)


def pyiqa_loss(name: str, **settings: Any) -> Any:
    """The same with gradients, one score a picture."""
    return pyiqa_metric(name, as_loss=True, loss_reduction="none", **settings)


def _pyiqa(name: str) -> tuple[Score, bool]:
    metric = pyiqa_metric(name)

    def score(dist: np.ndarray, ref: np.ndarray, pair: Pair) -> float:
        return float(metric(*_planes(dist, ref)))

    return score, not metric.lower_better


def _torchmetrics(name: str) -> tuple[Score, bool]:
    if importlib.util.find_spec("torchmetrics") is None:
        raise ImportError('this metric needs torchmetrics: pip install "birqa[benchmark]".')
    functional = importlib.import_module("torchmetrics.functional.image")
    known = {
        "psnr": (functional.peak_signal_noise_ratio, False),
        "psnr-luma": (functional.peak_signal_noise_ratio, True),
        "ssim": (functional.structural_similarity_index_measure, True),
        "ms-ssim": (functional.multiscale_structural_similarity_index_measure, True),
    }
    if name not in known:
        raise ValueError(f"torchmetrics:{name} is not known: choose one of {', '.join(known)}.")
    function, on_luma = known[name]

    def score(dist: np.ndarray, ref: np.ndarray, pair: Pair) -> float:
        from birqa.features import luma

        planes = _planes(dist, ref)
        value = float(function(*(luma(x) if on_luma else x for x in planes), data_range=1.0))
        # The PSNR of equal pictures is infinite; it ranks first.
        return min(value, 100.0)

    return score, True


def load_callable(path: str) -> Callable[..., Any]:
    """What "package.module:name" names. Raises ValueError where there is no such callable."""
    module, colon, name = path.partition(":")
    if not colon:
        raise ValueError(f"python:{path} should be python:package.module:name.")
    function = getattr(_import(module), name, None)
    if not callable(function):
        raise ValueError(f"{module} has no callable {name}.")

    @wraps(function)
    def told(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            # Whatever somebody's code raises, the picture fails, not the run.
            raise ValueError(f"python:{path} failed ({type(error).__name__}: {error}).") from error

    return told


def _import(module: str) -> types.ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"{module} cannot be imported ({error}): check its name and PYTHONPATH.") from None


def _python(path: str) -> tuple[Score, bool]:
    function = load_callable(path)

    def score(dist: np.ndarray, ref: np.ndarray, pair: Pair) -> float:
        value = function(dist, ref)
        try:
            return float(value)
        except TypeError:
            raise ValueError(f"python:{path} gives {str(value)[:60]!r}, where one number is needed") from None

    return score, True


@dataclass(frozen=True)
class _Row:
    """Paths as the table has them, and as files."""

    ref: Path
    dist: Path
    files: tuple[str, str]
    score: float | None
    """None for a pair that `birqa eval --scores` could not score."""


class _Table:
    """Scores by the paths of reference and picture, which start at the table's folder."""

    def __init__(self, path: Path, column: str) -> None:
        self.path = path
        self.by_files: dict[tuple[str, str], _Row] = {}
        self.by_names: dict[tuple[str, str], list[_Row]] = {}
        header, rows = read_table(path)
        others = [name for name in header if name not in ("ref", "dist", "image")]
        only = "score" if "score" in others or len(others) != 1 or others == ["mos"] else others[0]
        column = column or only
        # Scores without a reference are those of a pair of one picture.
        names = ("image", "image") if "image" in header and "ref" not in header else ("ref", "dist")
        if not {*names, column} <= set(header):
            raise ValueError(
                f"{path}: the columns ref, dist (or image) and {column} are needed; name the one that you "
                f"mean after a #, of {', '.join(others) or 'which there is none'}."
            )
        for line, cells in rows:
            try:
                ref, dist = (Path(cells[name]) for name in names)
                score = float(cells[column]) if cells[column] else None
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}, line {line}: {column}={cells[column]!r} is not a number."
                ) from None
            row = _Row(ref, dist, _files(path.parent / ref, path.parent / dist), score)
            above = self.by_files.setdefault(row.files, row)
            if above is row:
                self.by_names.setdefault((ref.name, dist.name), []).append(row)
            elif above.score != score:
                raise ValueError(f"{path}, line {line}: {dist} has another score above: keep one of the two.")

    def find(self, pair: Pair) -> _Row | None:
        """The row of these files, else the one whose paths end theirs, else, for pictures that lay elsewhere
        when they were scored, the one of their names. Raises ValueError where that leaves several."""
        if row := self.by_files.get(_files(pair.ref, pair.dist)):
            return row
        rows = self.by_names.get((pair.ref.name, pair.dist.name), [])
        found = [row for row in rows if _ends(pair.ref, row.ref) and _ends(pair.dist, row.dist)] or [
            # A row about a picture that is there is about no other of its name.
            row
            for row in rows
            if not os.path.exists(row.files[1])
        ]
        if len(found) > 1:
            raise ValueError(
                f"{self.path} has scores for {found[0].dist} and {found[1].dist}, and {pair.dist} may be "
                "either: give their paths from the folder of that table."
            )
        return found[0] if found else None

    def check(self, pairs: Sequence[Pair]) -> None:
        taken: dict[tuple[str, str], Pair] = {}
        for pair in pairs:
            row = self.find(pair)
            if row is None or row.score is None:
                continue
            other = taken.setdefault(row.files, pair)
            if _files(other.ref, other.dist) != _files(pair.ref, pair.dist):
                raise ValueError(
                    f"{self.path} has one score, of {row.dist}, for {other.dist} and {pair.dist}: give both "
                    "by their paths from the folder of that table."
                )


def _files(ref: Path, dist: Path) -> tuple[str, str]:
    return os.path.realpath(ref), os.path.realpath(dist)


def _ends(path: Path, end: Path) -> bool:
    return path.parts[-len(end.parts) :] == end.parts


def _csv(path: str) -> tuple[Score, bool]:
    table = _Table(*table_of(path))

    def score(dist: np.ndarray, ref: np.ndarray, pair: Pair) -> float:
        row = table.find(pair)
        if row is None or row.score is None:
            raise ValueError(f"{path} has no score for {pair.dist}.")
        return row.score

    return score, True


def _command(line: str) -> tuple[Score, bool]:
    words = shlex.split(line)
    if not any("{dist}" in word for word in words):
        raise ValueError(f"command:{line} needs {{dist}} (and {{ref}}) where the files' names belong.")
    if shutil.which(words[0]) is None:
        raise ValueError(f"command:{line}: there is no program {words[0]}: check its name and PATH.")
    return partial(_run_command, words), True


def _run_command(words: list[str], dist: np.ndarray, ref: np.ndarray, pair: Pair) -> float:
    filled = [word.replace("{ref}", str(pair.ref)).replace("{dist}", str(pair.dist)) for word in words]
    done = subprocess.run(filled, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{shlex.join(filled)} ended with exit code {done.returncode}.")
    try:
        return float(done.stdout.split()[-1])
    except (IndexError, ValueError):
        raise ValueError(f"{shlex.join(filled)} printed no number as its last word.") from None
