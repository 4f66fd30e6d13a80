"""birqa certify: what it prints and saves, how it goes on from a certificate, and what it cannot certify."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from birqa.certify.certificate import load_certificate, make_claim
from birqa.certify.noise import Noise

METRIC = "python:mean_metric:score"
QUICK = ("--metric", METRIC, "--samples", 60, "--sigma", 0.2, "--radius", 0.05, "--confidence", 0.95)


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """p.png (20 x 16), and a module with metrics."""
    (tmp_path / "mean_metric.py").write_text(
        "import numpy as np\n"
        "def score(pictures):\n    return np.array([picture.mean() for picture in pictures])\n"
        "def broken(pictures):\n    return pictures.mean(axis=(1, 2, 3)) * np.nan\n"
        "def closeness(dist, ref):\n    return 1 - np.abs(dist - ref / 255).mean()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    pixels = np.random.default_rng(1).integers(0, 256, (16, 20, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def test_what_is_printed(cli, photo):
    answer = cli("certify", photo, *QUICK)
    assert (answer.code, answer.err) == (0, "")
    name, *lines = answer.out.splitlines()
    assert name == str(photo)
    labels = {line[2:17].strip(): line[17:] for line in lines}
    assert list(labels) == ["score", "interval", "picture", "radius", "draws", "holds for", "does not cover"]
    low, _, high = labels["interval"].split(",")[0].split()
    assert float(low) < float(labels["score"].split()[0]) < float(high)
    assert "confidence 0.95 for both ends" in labels["interval"]
    assert labels["radius"].startswith("l2 0.05: 0.41 of 255 grey levels in every sample")


def test_what_is_saved(cli, photo, tmp_path):
    answer = cli("certify", photo, *QUICK, "--seed", 9, "-o", tmp_path / "c.json", "--json")
    (row,) = json.loads(answer.out)
    saved = load_certificate(tmp_path / "c.json")
    saved.recheck()
    assert saved.noise == Noise("discrete", 0.2, 9)
    assert (saved.picture.file, len(saved.scores)) == ("p.png", 60)
    assert row["score"] == saved.claim.score
    assert (row["low"], row["high"], row["bounded"]) == (saved.claim.low, saved.claim.high, True)
    assert (row["picture"], row["certificate"]) == (str(photo), str(tmp_path / "c.json"))
    assert row["meaning"]["one_level"] == 162
    assert (row["radius"], row["confidence"], row["two_sided"]) == (0.05, 0.95, True)
    assert "scores" not in row


def test_the_seed_is_fresh_unless_given(cli, photo):
    seeds = [json.loads(cli("certify", photo, *QUICK, "--json").out)[0]["noise"]["seed"] for _ in range(2)]
    assert seeds[0] != seeds[1]
    scores = [
        json.loads(cli("certify", photo, *QUICK, "--seed", 3, "--json").out)[0]["score"] for _ in range(2)
    ]
    assert scores[0] == scores[1]


def test_continuing_keeps_every_setting_and_gives_the_same_as_at_once(cli, photo, tmp_path):
    start, whole = tmp_path / "start.json", tmp_path / "whole.json"
    settings = (*QUICK, "--seed", 9, "--one-sided", "--samples")
    assert cli("certify", photo, *settings, 40, "-o", start).code == 0
    assert cli("certify", photo, *settings, 150, "-o", whole).code == 0
    first = start.read_bytes()
    answer = cli(
        *("certify", photo, "--metric", METRIC, "--samples", 150),
        *("--continue", start, "-o", tmp_path / "on.json"),
    )
    assert answer.code == 0
    assert (tmp_path / "on.json").read_bytes() == whole.read_bytes()
    assert start.read_bytes() == first
    assert cli("certify", photo, "--metric", METRIC, "--samples", 150, "--continue", start).code == 0
    assert start.read_bytes() == whole.read_bytes()
    # Without a number of draws they stay as they are, for another radius, say.
    again = cli("certify", photo, "--metric", METRIC, "--continue", start, "--radius", 0.01, "--json")
    (row,) = json.loads(again.out)
    assert (row["draws"], row["radius"]) == (150, 0.01)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (("--samples", 30), "60 draws already: ask for more than that, not for 30"),
        (("--samples", 90, "--sigma", 0.3), "leave the options of the noise out"),
        (("--samples", 90, "--seed", 4), "leave the options of the noise out"),
        (("--samples", 90, "--noise", "gaussian"), "leave the options of the noise out"),
    ],
)
def test_continuing_with_other_settings_is_refused(cli, photo, tmp_path, settings, complaint):
    start = tmp_path / "start.json"
    cli("certify", photo, *QUICK, "--seed", 9, "-o", start)
    before = start.read_bytes()
    answer = cli("certify", photo, "--metric", METRIC, "--continue", start, *settings)
    assert answer.code == 2
    assert complaint in answer.complaint
    assert start.read_bytes() == before


def test_continuing_for_another_picture_or_from_a_damaged_file_is_refused(cli, refuses, photo, tmp_path):
    start, other = tmp_path / "start.json", tmp_path / "q.png"
    Image.new("RGB", (20, 16), "red").save(other)
    cli("certify", photo, *QUICK, "-o", start)
    answer = cli("certify", other, "--metric", METRIC, "--continue", start)
    assert answer.code == 2
    assert "about another picture" in answer.complaint
    refuses("somebody's code", "certify", photo, "--continue", start)
    start.write_text(start.read_text().replace('"radius": 0.05', '"radius": 0.06'))
    refuses("changed after it was written", "certify", photo, "--metric", METRIC, "--continue", start)


def test_draws_that_somebody_made_up_are_not_continued(cli, photo, tmp_path):
    start = tmp_path / "start.json"
    cli("certify", photo, *QUICK, "-o", start)
    certificate = load_certificate(start)
    made_up = np.full_like(certificate.scores, 0.99)
    size, limits = certificate.picture.size, certificate.limits
    claim = make_claim(made_up, certificate.request, certificate.noise, size, limits)
    replace(certificate, scores=made_up, claim=claim).save(start)
    before = start.read_bytes()
    answer = cli("certify", photo, "--metric", METRIC, "--samples", 90, "--continue", start)
    assert answer.code == 2
    assert "draws do not come out again" in answer.complaint
    assert start.read_bytes() == before


def test_several_pictures_go_to_a_folder_and_a_bad_one_is_told(cli, photo, tmp_path):
    (tmp_path / "sub").mkdir()
    second = tmp_path / "sub" / "p.png"
    Image.new("RGB", (12, 10), "red").save(second)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    photos = (photo, tmp_path / "bad.png", second)
    answer = cli("certify", *photos, *QUICK, "-o", tmp_path / "out", "--json")
    assert answer.code == 2
    assert answer.complaint.startswith(f"birqa: {tmp_path / 'bad.png'} is not a picture")
    rows = json.loads(answer.out)
    assert [row["picture"] for row in rows] == list(map(str, photos))
    assert "is not a picture" in rows[1]["error"]
    names = ("p.png.json", "p.png_2.json")
    certificates = [load_certificate(tmp_path / "out" / name) for name in names]
    assert [(c.picture.width, c.picture.height) for c in certificates] == [(20, 16), (12, 10)]
    assert certificates[0].noise.seed != certificates[1].noise.seed
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    # Again is no loss; another picture of the name, or what is no certificate, is not written over.
    assert cli("certify", photo, *QUICK, "-o", tmp_path / "out").code == 0
    kept = (tmp_path / "out" / "p.png.json").read_bytes()
    answer = cli("certify", second, *QUICK, "-o", tmp_path / "out")
    assert answer.code == 2
    assert "p.png.json is the certificate of another picture" in answer.complaint
    (tmp_path / "out" / "p.png_2.json").write_text("{}")
    answer = cli("certify", photo, second, *QUICK, "-o", tmp_path / "out")
    assert answer.code == 2
    assert (tmp_path / "out" / "p.png_2.json").read_text() == "{}"
    assert kept != (tmp_path / "out" / "p.png.json").read_bytes()


def test_a_folder_of_pictures(cli, photo, tmp_path):
    album = tmp_path / "album"
    album.mkdir()
    for name in ("b.png", "a.png"):
        Image.open(photo).save(album / name)
    rows = json.loads(cli("certify", album, *QUICK, "-o", tmp_path / "out", "--json").out)
    assert [row["picture"] for row in rows] == [str(album / "a.png"), str(album / "b.png")]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png.json", "b.png.json"}
    # Of a folder, one picture goes to a folder as well.
    (album / "a.png").unlink()
    assert cli("certify", album, *QUICK, "-o", tmp_path / "other").code == 0
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["b.png.json"]


def test_a_radius_out_of_reach_is_said_before_and_after(cli, photo):
    answer = cli("certify", photo, "--metric", METRIC, "--samples", 50, "--radius", 0.36)
    assert answer.code == 0
    assert "whole range of scores: 50 draws under noise of sigma 0.12 bound nothing" in answer.complaint
    assert "at least 5,627 draws" in answer.complaint
    assert "beware" in answer.out
    assert "-inf .. inf" in answer.out
    (row,) = json.loads(
        cli("certify", photo, "--metric", METRIC, "--samples", 50, "--radius", 0.36, "--json").out
    )
    assert (row["low"], row["high"], row["bounded"]) == (None, None, False)


def test_a_pair(cli, photo, tmp_path):
    ref = tmp_path / "ref.png"
    Image.new("RGB", (20, 16), "gray").save(ref)
    answer = cli(
        *("certify", photo, "--ref", ref, *QUICK[2:]),
        *("--metric", "python:mean_metric:closeness", "-o", tmp_path / "c.json"),
    )
    assert answer.code == 0
    assert "against ref.png" in answer.out
    assert "changes of the reference" in answer.out
    assert load_certificate(tmp_path / "c.json").reference.file == "ref.png"
    more = ("--continue", tmp_path / "c.json", "--samples", 90)
    assert cli("certify", photo, "--ref", ref, "--metric", "python:mean_metric:closeness", *more).code == 0
    assert load_certificate(tmp_path / "c.json").reference.file == "ref.png"


def test_our_own_pair_metric(cli, folder, tmp_path):
    answer = cli(
        *("certify", folder / "dist/b.png", "--ref", folder / "ref/b.png", "--samples", 12),
        *("--confidence", 0.8, "--sigma", 0.05, "--radius", 0.01, "--threads", 1, "-o", tmp_path / "c.json"),
    )
    assert (answer.code, answer.err) == (0, "")
    assert "birqa.kadid" in answer.out
    checked = cli(
        *("verify", tmp_path / "c.json", folder / "dist/b.png", "--ref", folder / "ref/b.png"),
        *("--redraw", 3, "--threads", 1),
    )
    assert checked.code == 0
    assert "3 of 12 draws came out again" in checked.out


def test_pairs_are_certified_under_less_noise_unless_asked(cli, folder, tmp_path):
    pair = ("certify", folder / "dist/b.png", "--ref", folder / "ref/b.png", "--samples", 14)
    pair = *pair, "--confidence", 0.8
    usual = cli(*pair, "--threads", 1, "-o", tmp_path / "c.json")
    assert (usual.code, usual.err) == (0, "")
    certificate = load_certificate(tmp_path / "c.json")
    assert (certificate.noise.sigma, certificate.request.radius) == (0.02, 0.02)
    noisy = cli(*pair, "--sigma", 0.12, "--threads", 1)
    assert "noise of 0.12 is damage to a metric that compares" in noisy.err


def test_a_reduced_picture_is_what_the_certificate_is_about(cli, tmp_path, photo):
    pixels = np.random.default_rng(2).integers(200, 256, (80, 100, 4)).astype(np.uint8)
    pixels[..., :3] //= 2
    Image.fromarray(pixels, "RGBA").save(tmp_path / "large.png")
    large, saved = tmp_path / "large.png", tmp_path / "c.json"
    settings = ("--metric", METRIC, "--sigma", 0.2, "--radius", 0.02, "--confidence", 0.95)
    dark = ("--background", 0)
    answer = cli("certify", large, *settings, "--samples", 60, "--shorter-side", 40, *dark, "-o", saved)
    assert "picture        50 x 40" in answer.out
    assert "reduced        from 100 x 80: all this is said of the reduced picture" in answer.out
    by_hand = np.asarray(Image.open(large).convert("RGBA"), np.float64)
    by_hand = (by_hand[..., :3] * by_hand[..., 3:] / 255).mean() / 255
    assert load_certificate(saved).claim.score == pytest.approx(by_hand, abs=0.01)
    answer = cli("verify", saved, large, "--metric", METRIC, *dark)
    assert (answer.code, answer.err) == (0, "")
    assert f"the picture is {large}, reduced to 50 x 40" in answer.out
    assert cli("verify", saved, large, "--metric", METRIC).code == 1
    (row,) = json.loads(cli("certify", large, *settings, "--samples", 60, *dark, "--json").out)
    assert row["reduced_from"] is None
    longer = ("--continue", saved, "--metric", METRIC, "--samples", 80, *dark)
    assert cli("certify", large, *longer).code == 0
    assert len(load_certificate(saved).scores) == 80


def test_a_picture_too_large_for_the_memory_is_told(cli, tmp_path, photo):
    Image.new("RGB", (1100, 1000)).save(tmp_path / "wide.png")
    answer = cli("certify", tmp_path / "wide.png", *QUICK, "--max-memory", 100)
    assert (answer.code, answer.out) == (2, "")
    assert "takes about 1,075 MiB" in answer.err
    assert "100 MiB are allowed (--max-memory)" in answer.err


def test_deep_pictures_need_gaussian_noise(cli, photo, tmp_path):
    deep = tmp_path / "deep.png"
    Image.fromarray(np.arange(320, dtype=np.uint16).reshape(16, 20) * 200).save(deep)
    answer = cli("certify", deep, *QUICK)
    assert answer.code == 2
    assert "discrete noise is sound on 8-bit pictures only" in answer.complaint
    answer = cli("certify", deep, *QUICK, "--noise", "gaussian")
    assert answer.code == 0
    assert "which are not accounted for" in answer.out


def test_a_curve(cli, photo, tmp_path):
    assert cli("certify", photo, *QUICK, "--curve", tmp_path / "c.png").code == 0
    with Image.open(tmp_path / "c.png") as image:
        assert image.width > 500


def test_a_metric_that_gives_no_numbers(cli, photo, tmp_path):
    settings = ("--metric", "python:mean_metric:broken", "--samples", 60)
    answer = cli("certify", photo, *settings, "-o", tmp_path / "c.json")
    assert (answer.code, answer.out) == (2, "")
    assert "draw 0 scores nan" in answer.complaint
    assert not (tmp_path / "c.json").exists()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (("--metric", "nonsense"), "there is no metric 'nonsense'"),
        (("--sigma", 0), "sigma=0.0"),
        (("--radius", -1), "radius=-1.0"),
        (("--radius", 1e200), "radius=1e+200 should lie between 0 and 1e+06"),
        (("--denoiser", "nonsense"), "there is no denoiser 'nonsense'"),
        (("--confidence", 99.9), "confidence=99.9"),
        (("--seed", -1), "seed=-1"),
        (("--samples", 0), "--samples"),
        (("--noise", "white"), "--noise"),
        (("--metric", "python:mean_metric:absent"), "mean_metric has no callable absent"),
        (("--metric", "birqa"), "compares with a reference: give one with --ref"),
        (("-o", "nowhere/c.json"), "does not exist"),
        (("--curve", "nowhere/c.png"), "does not exist"),
        (("--continue", "nowhere.json"), "nowhere.json"),
        (("--ref", "nowhere.png"), "nowhere.png does not exist"),
    ],
)
def test_bad_settings_are_one_sentence(refuses, photo, settings, complaint):
    refuses(complaint, "certify", photo, *settings)


def test_several_pictures_have_no_curve_and_no_earlier_certificate(refuses, photo, tmp_path):
    for option in ("--curve", "--continue"):
        refuses("take one picture at a time", "certify", photo, photo, option, tmp_path / "x")
    (tmp_path / "file").write_text("")
    refuses("several certificates need a folder", "certify", photo, photo, *QUICK, "-o", tmp_path / "file")


def test_the_core_certifies_and_verifies(python, photo, tmp_path):
    """Without the packages of any extra."""
    code = (
        "import sys\n"
        "for name in ('torch', 'scipy', 'matplotlib', 'cv2', 'skimage', 'onnx'): sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from birqa.cli import run\n"
        "run()\n"
    )
    certificate = tmp_path / "c.json"
    made = python("-c", code, "certify", photo, *QUICK, "-o", certificate)
    assert (made.returncode, made.stderr) == (0, "")
    checked = python("-c", code, "verify", certificate, photo, "--metric", METRIC)
    assert (checked.returncode, checked.stderr) == (0, "")
    curve = python("-c", code, "certify", photo, *QUICK, "--curve", tmp_path / "c.png")
    assert curve.returncode == 2
    assert "matplotlib" in curve.stderr
    assert curve.stdout == ""
