"""Pictures, metrics and a tiny model that several folders of tests share."""

import io
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image, ImageFilter

import birqa

# How long an example takes says more of the machine than of the code.
settings.register_profile("birqa", deadline=None)
settings.load_profile("birqa")

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
def scenes():
    """Sixteen uint8 pictures (64, 80, 3), all made: waves and edges under noise of many strengths."""
    rng = np.random.default_rng(11)
    rows, columns = np.mgrid[0:64, 0:80, 0:1][:2]
    pictures = []
    for number in range(16):
        angle, length, shift = rng.uniform(0, 3, 3), rng.uniform(3, 20, 3), rng.uniform(0, 6, 3)
        waves = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) / length + shift)
        blocks = (rows // 16 + columns // 16) % 2
        picture = 127 + 60 * waves + 30 * blocks + 2 * number * rng.standard_normal((64, 80, 3))
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return pictures


@pytest.fixture(scope="session")
def tiny_blind(scenes):
    """tiny_blind(**config): an untrained network, whose regression is fitted to ratings drawn at random."""
    import torch

    from birqa.blind.config import BlindConfig
    from birqa.blind.network import Blind
    from birqa.blind.regression import fit_regression

    def make(**config):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            module = Blind(BlindConfig(**({"widths": (4, 6), "supports": len(scenes)} | config))).eval()
        pictures = torch.from_numpy(np.stack(scenes).transpose(0, 3, 1, 2)).float() / 255
        ratings = torch.from_numpy(np.random.default_rng(2).uniform(0.1, 0.9, len(scenes)))
        with torch.no_grad():
            described = module.describe(pictures)
        module.regression = fit_regression(described, ratings, module.config.groups, iterations=10)
        return module

    return make


@pytest.fixture(scope="session")
def tiny_denoiser():
    """tiny_denoiser(**config): two narrow levels, untrained but no longer the identity."""
    import torch

    from birqa.blind.config import DenoiserConfig
    from birqa.blind.denoiser import Denoiser

    def make(**config):
        with torch.random.fork_rng():
            torch.manual_seed(6)
            module = Denoiser(DenoiserConfig(**({"widths": (4, 6)} | config)))
            with torch.no_grad():
                module.last.weight.copy_(0.1 * torch.randn_like(module.last.weight))
                module.last.bias.copy_(0.05 * torch.randn_like(module.last.bias))
        return module.eval()

    return make


@pytest.fixture(scope="session")
def blind_model(tiny_blind, tmp_path_factory):
    """The folder of a tiny no-reference metric, not to be changed."""
    from birqa.export import save_single

    folder = tmp_path_factory.mktemp("blind") / "model"
    save_single(tiny_blind(), folder, name="blind.tiny", version="7", card={"summary": "tiny"})
    return folder


@pytest.fixture(scope="session")
def denoiser_model(tiny_denoiser, tmp_path_factory):
    """The folder of a tiny denoiser, not to be changed."""
    from birqa.export import save_single

    folder = tmp_path_factory.mktemp("denoiser") / "model"
    save_single(tiny_denoiser(), folder, name="denoiser.tiny", version="7", card={"summary": "tiny"})
    return folder


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
