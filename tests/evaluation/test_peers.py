"""Peers by spec: values against independent implementations, direction, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from birqa.evaluation.peers import load_peer
from birqa.pairing import Pair

NOWHERE = Pair(Path("ref.png"), Path("dist.png"))


@pytest.fixture
def large_pair(damage):
    """(dist, ref), large enough for five halvings under an 11x11 window."""
    ref = np.array(Image.open("examples/ref/bikes.webp").convert("RGB"))[:200, :220]
    return damage("noise", ref, 12), ref


@pytest.mark.parametrize("spec", ["torchmetrics:psnr", "piq:psnr"])
def test_psnr_is_that_of_scikit_image(spec, large_pair):
    dist, ref = large_pair
    assert load_peer(spec).score(dist, ref, NOWHERE) == pytest.approx(
        peak_signal_noise_ratio(ref, dist), abs=1e-3
    )


@pytest.mark.parametrize(
    "spec",
    [
        "torchmetrics:psnr",
        "torchmetrics:psnr-luma",
        "torchmetrics:ssim",
        "torchmetrics:ms-ssim",
        "piq:vsi",
        "piq:mdsi",
        "piq:gmsd",
        "piq:haarpsi",
        "piq:fsim",
        "birqa",
    ],
)
def test_less_damage_scores_higher_in_every_peer(spec, large_pair, damage):
    dist, ref = large_pair
    peer = load_peer(spec)
    scores = [peer.score(picture, ref, NOWHERE) for picture in (damage("noise", ref, 40), dist, ref)]
    assert np.isfinite(scores).all()
    assert scores[0] < scores[1] < scores[2]


def test_the_stand_in_for_torchvision_does_not_outlive_the_import():
    load_peer("piq:mdsi")
    assert "torchvision" not in sys.modules or hasattr(sys.modules["torchvision"], "__version__")


def negative_error(dist, ref):
    return -float(np.abs(dist.astype(float) - ref).mean())


def test_a_callable_a_table_and_a_program_serve_as_peers(tmp_path, pair, monkeypatch):
    dist, ref = pair
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text(
        "import sys\n"
        "def error(dist, ref):\n    return float(abs(dist.astype(float) - ref).mean())\n"
        "if __name__ == '__main__':\n    print('score:', len(sys.argv[1]) + len(sys.argv[2]))\n"
    )
    files = Pair(tmp_path / "ref.png", tmp_path / "dist one.png")
    assert load_peer("-python:mine:error").score(dist, ref, files) == negative_error(dist, ref)

    (tmp_path / "scores.csv").write_text("ref,dist,score\nref.png,elsewhere/dist one.png,0.25\n")
    assert load_peer(f"csv:{tmp_path / 'scores.csv'}").score(dist, ref, files) == 0.25

    program = load_peer(f"command:{sys.executable} {tmp_path / 'mine.py'} {{ref}} {{dist}}")
    assert program.score(dist, ref, files) == len(str(files.ref)) + len(str(files.dist))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("piq:nonsense", "choose one of psnr"),
        ("torchmetrics:nonsense", "choose one of psnr"),
        ("unknown:vsi", "names no metric"),
        ("piq:", "names no metric"),
        ("no-such-metric", "no-such-metric"),
        ("python:os.path", "python:package.module:name"),
        ("python:os.path:nothing", "no callable nothing"),
        ("command:tool", "{dist}"),
    ],
)
def test_a_spec_that_cannot_be_understood_is_refused(spec, message):
    with pytest.raises(ValueError, match=message.replace("{", r"\{")):
        load_peer(spec)


def test_a_missing_package_is_named():
    with pytest.raises(ImportError, match="pip install pyiqa"):
        load_peer("pyiqa:topiq_fr")


def test_broken_programs_and_tables_are_named(tmp_path, pair):
    dist, ref = pair
    (tmp_path / "fail.py").write_text("raise SystemExit(3)")
    (tmp_path / "mute.py").write_text("print('no number')")
    with pytest.raises(ValueError, match="exit code 3"):
        load_peer(f"command:{sys.executable} {tmp_path / 'fail.py'} {{dist}}").score(dist, ref, NOWHERE)
    with pytest.raises(ValueError, match="printed no number"):
        load_peer(f"command:{sys.executable} {tmp_path / 'mute.py'} {{dist}}").score(dist, ref, NOWHERE)
    table = tmp_path / "scores.csv"
    table.write_text("ref,dist,score\na.png,b.png,many\n")
    with pytest.raises(ValueError, match="line 2"):
        load_peer(f"csv:{table}")
    table.write_text("ref,dist\na.png,b.png\n")
    with pytest.raises(ValueError, match="columns ref, dist and score"):
        load_peer(f"csv:{table}")
    table.write_text("ref,dist,score\na.png,b.png,1\n")
    with pytest.raises(ValueError, match="no score for"):
        load_peer(f"csv:{table}").score(dist, ref, NOWHERE)
