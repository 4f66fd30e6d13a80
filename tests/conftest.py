"""Pictures, metrics and a tiny model that several folders of tests share."""

import io
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import birqa

ROOT = Path(__file__).parent.parent
REFERENCES = ROOT / "examples" / "ref"


def smooth_waves(height, width):
    """Made rather than photographed: gradients of three colours under a fine texture."""
    rows, columns = np.mgrid[0:height, 0:width].astype(float)
    waves = [np.sin(rows / 9 + k) + np.cos(columns / 13 - k) + 0.3 * np.sin(rows * columns) for k in range(3)]
    return np.rint(127 + 45 * np.stack(waves, axis=2)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photographs():
    """Three uint8 pictures (96, 128, 3): two crops of photographs and a made one. Not to be changed."""
    bikes, parrots = (birqa.load_image(REFERENCES / f"{name}.webp") for name in ("bikes", "parrots"))
    pictures = [bikes[120:216, 100:228], parrots[90:186, 240:368], smooth_waves(96, 128)]
    for picture in pictures:
        picture.setflags(write=False)
    return pictures


@pytest.fixture(scope="session")
def damage():
    """damage(kind, picture, level), always the same: noise (sigma of 255), blur (radius), jpeg (quality)."""

    def noise(picture, sigma):
        grain = np.random.default_rng(7).standard_normal(picture.shape)
        return np.rint(picture + sigma * grain).clip(0, 255).astype(np.uint8)

    def blur(picture, radius):
        return np.array(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))

    def jpeg(picture, quality):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        return np.array(Image.open(file))

    kinds = {"noise": noise, "blur": blur, "jpeg": jpeg}
    return lambda kind, picture, level: kinds[kind](picture, level)


@pytest.fixture
def pair(photographs, damage):
    """(dist, ref), uint8 (96, 128, 3): one visibly noisy picture."""
    return damage("noise", photographs[0], 15), photographs[0]


@pytest.fixture(scope="session")
def metric_of():
    """metric_of(name, engine): one thread, made once."""

    @cache
    def make(name="birqa", engine="onnx"):
        return birqa.create_metric(name, engine=engine, threads=1)

    return make


@pytest.fixture(scope="session")
def tiny_module():
    """tiny_module(**config): an untrained network of two levels whose weights tell parts and levels apart."""
    import torch

    from birqa.network.birqa import BiRQA
    from birqa.network.config import BiRQAConfig

    def make(**config):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            widths = {"widths": (8, 16), "blocks": (1, 1), "head_width": 8, "head_hidden": 8}
            module = BiRQA(BiRQAConfig(**(widths | config)))
            with torch.no_grad():
                for parameter in module.network.parameters():
                    parameter.add_(0.1 * torch.randn_like(parameter))
        return module.eval()

    return make


@pytest.fixture(scope="session")
def save_tiny(tiny_module):
    """save_tiny(folder, half=True, **config): writes the tiny network as a model folder, gives its path."""
    from birqa.export import save_model

    def save(folder, half=True, **config):
        save_model(
            tiny_module(**config), folder, name="birqa.tiny", version="7", card={"summary": "tiny"}, half=half
        )
        return folder

    return save


@pytest.fixture(scope="session")
def tiny_model(save_tiny, tmp_path_factory):
    """A model folder, not to be changed."""
    return save_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def python():
    """python(*arguments): a fresh interpreter on the same birqa, as subprocess.CompletedProcess of text."""

    def run(*arguments):
        source = Path(birqa.__file__).parent.parent
        path = os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run
