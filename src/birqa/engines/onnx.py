"""ONNX Runtime: features in horizontal bands, then the network on the whole pyramid.

The features are local, so bands that overlap by the window's halo give the same maps as the whole picture
at a fraction of the memory; the network sees the whole picture and needs no tiles.
"""

import os
from functools import cached_property
from typing import Any

import numpy as np

# Its official builds send usage data unless told otherwise, which is nobody's business but the user's.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

from birqa.engines.base import NotScoredError, Parts
from birqa.grid import Grid, find_grid, margins
from birqa.images import to_float
from birqa.model import Model, ModelError
from birqa.pyramid import HALO, MAPS

# Pixels of a band: small enough to stay in the processor's cache, large enough to amortise the call.
BAND_PIXELS = 2**18


class OnnxEngine:
    """Runs `model` on a CPU with `threads` threads (all cores when None)."""

    def __init__(self, model: Model, threads: int | None = None) -> None:
        self.model = model
        self.config = model.config
        self.threads = threads
        self.features = start_session(model, "features.onnx", {}, threads)
        self.network = start_session(model, "network.onnx", model.tensors, threads)

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot be pickled, its makings can: so a metric can go to worker processes.
        return type(self), (self.model, self.threads)

    @cached_property
    def explained(self) -> Any:
        """The network with every part as an output; made when first asked for."""
        return start_session(self.model, "explain.onnx", self.model.tensors, self.threads)

    def score(self, dist: np.ndarray, ref: np.ndarray) -> float:
        grid = find_grid(dist, ref, self.config.shrink)
        return float(self._run(self.network, dist, ref, grid, ["score"])[0][0])

    def explain(self, dist: np.ndarray, ref: np.ndarray) -> Parts:
        levels = range(1, self.config.levels) if self.config.csram else range(0)
        maps = [f"{kind}_{level}" for kind in ("strength", "confidence") for level in levels]
        names = ["score", "level_score", "reliability", "quality", *maps]
        grid = find_grid(dist, ref, self.config.shrink)
        score, level_score, reliability, quality, *rest = self._run(self.explained, dist, ref, grid, names)
        rest = [value[0, 0] for value in rest]
        half = len(rest) // 2
        return Parts(
            float(score[0]), level_score[0], reliability[0], rest[:half], rest[half:], quality[0, 0], grid
        )

    def _run(
        self, network: Any, dist: np.ndarray, ref: np.ndarray, grid: Grid, outputs: list[str]
    ) -> list[np.ndarray]:
        height, width = dist.shape[:2]
        if dist.dtype != ref.dtype:
            # Or the same picture at 8 and at 16 bits would differ by a rounding.
            dist, ref = to_float(dist), to_float(ref)
        dist, ref = _shrunk(dist, self.config.shrink, grid), _shrunk(ref, self.config.shrink, grid)
        try:
            feed = {f"maps_{level}": maps for level, maps in enumerate(self.pyramid(dist, ref))}
            feed["size"] = np.array(dist.shape[:2], np.float32)
            result: list[np.ndarray] = network.run(outputs, feed)
        # ONNX Runtime's exceptions have no base of their own.
        except Exception as error:
            raise NotScoredError(
                f"ONNX Runtime could not score a {width}x{height} picture, likely for want of memory "
                f"({str(error).splitlines()[0][:120]}): score a smaller one."
            ) from None
        return result

    def pyramid(self, dist: np.ndarray, ref: np.ndarray) -> list[np.ndarray]:
        """Feature maps of each level l, float32 (1, 7, H / 2^l, W / 2^l) of the padded picture."""
        multiple, levels = self.config.multiple, self.config.levels
        height, width = (-(-side // multiple) * multiple for side in dist.shape[:2])
        margin = [(0, height - dist.shape[0]), (0, width - dist.shape[1]), (0, 0)]
        halo = [(HALO, HALO), (HALO, HALO), (0, 0)]
        padded = [np.pad(_mirrored(image, margin), halo, mode="edge") for image in (dist, ref)]
        pyramid = [
            np.empty((1, MAPS, height >> level, width >> level), np.float32) for level in range(levels)
        ]
        names = [f"maps_{level}" for level in range(levels)]
        rows = max(1, BAND_PIXELS // (width * multiple)) * multiple
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            bands = [_planes(image[top : bottom + 2 * HALO]) for image in padded]
            maps = self.features.run(names, {"dist": bands[0], "ref": bands[1]})
            for level, part in enumerate(maps):
                pyramid[level][:, :, top >> level : bottom >> level] = part
        return pyramid


def _shrunk(image: np.ndarray, factor: int, grid: Grid) -> np.ndarray:
    """Means over factor x factor pixels, float32 in [0, 1]; mirrored to whole cells. 1: as it is."""
    if factor == 1:
        return image
    above, below, left, right = margins(grid, image.shape[:2], factor)
    whole = _mirrored(image, [(above, below), (left, right), (0, 0)])
    levels = image.dtype == np.uint8
    # Several times faster than a mean over two axes of a reshaped array: first whole rows, then channel by
    # channel, in whole numbers where the sums of cells fit.
    rows: Any = whole[::factor].astype(np.uint16 if levels and factor <= 16 else np.float32)
    for row in range(1, factor):
        rows += whole[row::factor]
    samples = rows.reshape(len(rows), -1)
    cells = np.empty((len(rows), whole.shape[1] // factor, 3), np.float32)
    for channel in range(3):
        first, *others = (samples[:, channel + 3 * column :: 3 * factor] for column in range(factor))
        total = first.copy()
        for other in others:
            total += other
        cells[..., channel] = total
    cells /= np.float32(factor**2 * (255 if levels else 1))
    return cells


def _mirrored(image: np.ndarray, margin: list[tuple[int, int]]) -> np.ndarray:
    return np.pad(image, margin, mode="reflect") if any(map(any, margin)) else image


def _planes(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> float32 (1, 3, H, W) in [0, 1]."""
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))[None]
    return to_float(planes) if planes.dtype == np.uint8 else planes


def start_session(model: Model, file: str, tensors: dict[str, np.ndarray], threads: int | None) -> Any:
    """An ONNX Runtime session of one of the model's graphs, with its weights from memory."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or _cores()
    options.log_severity_level = 3
    # The sessions take turns: threads of the one that is done must not spin on the cores of the next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A picture's size decides the buffers; keeping the pattern of each size would only cost memory.
    options.enable_mem_pattern = False
    values = [ort.OrtValue.ortvalue_from_numpy(value) for value in tensors.values()]
    if tensors:
        options.add_external_initializers(list(tensors), values)
    graph = model.read(file)
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's exceptions have no base of their own.
    except Exception as error:
        # Its message names paths that do not exist.
        raise ModelError(
            f"{model.folder}: the weights do not fit {file}, or ONNX Runtime cannot run it: "
            "fetch or train the model again."
        ) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
