"""Peers by spec: values against independent implementations, direction, and what is refused."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from birqa.evaluation.peers import check_names, fingerprint, load_peer
from birqa.evaluation.scoring import score_by_peers
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
    with pytest.raises(ValueError, match=r"columns ref, dist \(or image\) and score"):
        load_peer(f"csv:{table}")
    table.write_text("ref,dist,score\na.png,b.png,1\n")
    with pytest.raises(ValueError, match="no score for"):
        load_peer(f"csv:{table}").score(dist, ref, NOWHERE)


# Tables of scores -----------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    """table(*rows, header): scores.csv in a folder of its own."""

    def write(*rows, header="ref,dist,score"):
        path = tmp_path / "table" / "scores.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def scores_of(path, *pairs):
    peer = load_peer(f"csv:{path}")
    return [peer.score(np.empty(0), np.empty(0), one) for one in pairs]


def test_pictures_of_one_name_in_two_folders_have_their_own_scores(table, tmp_path):
    left, right = (Pair(tmp_path / "set/ref/0.png", tmp_path / f"set/{side}/0.png") for side in ("p0", "p1"))
    # From the table's folder, and from another, as on the machine where they were scored.
    for root in ("../set/", "set/", ""):
        path = table(f"{root}ref/0.png,{root}p0/0.png,0.25", f"{root}ref/0.png,{root}p1/0.png,0.75")
        check_names(f"csv:{path}", [left, right])
        assert scores_of(path, left, right) == [0.25, 0.75]


def test_a_row_without_a_score_is_of_its_own_picture(table, tmp_path):
    """Beside the pictures, and elsewhere: the other one of that name does not lend its score."""
    left, right = (Pair(tmp_path / "set/r.png", tmp_path / f"set/{side}/0.png") for side in "ab")
    for root in ("../set/", ""):
        path = table(f"{root}r.png,{root}a/0.png,0.25", f"{root}r.png,{root}b/0.png,")
        check_names(f"csv:{path}", [left, right])
        assert scores_of(path, left) == [0.25]
        with pytest.raises(ValueError, match=r"no score for .*b/0\.png"):
            scores_of(path, right)


def test_a_score_that_may_be_of_either_picture_is_refused(table, tmp_path):
    path = table("r.png,elsewhere/a/0.png,0.25", "r.png,elsewhere/b/0.png,0.75")
    wanted = Pair(tmp_path / "r.png", tmp_path / "c" / "0.png")
    with pytest.raises(ValueError, match=r"has scores for elsewhere/a/0\.png and elsewhere/b/0\.png, and"):
        scores_of(path, wanted)
    with pytest.raises(ValueError, match="may be either"):
        check_names(f"-csv:{path}", [wanted])


def test_one_score_is_not_given_to_two_pictures(table, tmp_path):
    pairs = [Pair(tmp_path / "r.png", tmp_path / side / "0.png") for side in "ab"]
    path = table("r.png,0.png,0.25")
    with pytest.raises(ValueError, match=r"one score, of 0\.png, for .*a/0\.png and .*b/0\.png"):
        check_names(f"csv:{path}", pairs)
    check_names(f"csv:{path}", [pairs[0], pairs[0]])


def test_a_score_of_a_picture_that_is_there_is_of_no_other_of_its_name(table, tmp_path):
    for side in "ab":
        (tmp_path / side).mkdir()
        (tmp_path / side / "0.png").touch()
    path = table("../r.png,../a/0.png,0.25")
    with pytest.raises(ValueError, match=r"no score for .*b/0\.png"):
        scores_of(path, Pair(tmp_path / "r.png", tmp_path / "b" / "0.png"))


def test_two_scores_of_one_picture_are_refused_and_one_twice_is_not(table):
    path = table("r.png,0.png,0.25", "./r.png,x/../0.png,0.5")
    with pytest.raises(ValueError, match=r"line 3: .* has another score above"):
        load_peer(f"csv:{path}")
    path = table("r.png,0.png,0.25", "r.png,0.png,0.25")
    assert scores_of(path, Pair(Path("r.png"), Path("0.png"))) == [0.25]


def test_the_only_other_column_is_the_score_unless_it_is_a_rating(table):
    path = table("r.png,0.png,0.25", "r.png,1.png,", header="ref,dist,birqa.kadid")
    assert scores_of(path, Pair(Path("r.png"), Path("0.png"))) == [0.25]
    with pytest.raises(ValueError, match="no score for"):
        scores_of(path, Pair(Path("r.png"), Path("1.png")))
    for header in ("ref,dist,mos", "ref,dist,birqa.kadid,piq:vsi"):
        with pytest.raises(ValueError, match="name the one that you mean after a #, of "):
            load_peer(f"csv:{table(header=header)}")


def test_a_stray_quote_in_a_table_of_scores_is_refused_by_name(table):
    path = table('"r.png,0.png,1' + "\nr.png,1.png,1" * 20_000)
    with pytest.raises(ValueError, match=r"scores\.csv is no readable CSV"):
        load_peer(f"csv:{path}")


# What decides the scores ----------------------------------------------------------------


def test_a_fingerprint_changes_with_what_decides_the_scores(table, tmp_path, save_tiny, monkeypatch):
    spec = f"csv:{table('r.png,0.png,0.25')}"
    before = fingerprint(spec)
    assert fingerprint(spec) == before != fingerprint(f"-{spec}")
    table("r.png,0.png,0.5")
    assert fingerprint(spec) != before

    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "changing.py"
    module.write_text("def one(dist, ref):\n    return 1.0\n")
    before = fingerprint("python:changing:one")
    module.write_text("def one(dist, ref):\n    return 2.0\n")
    assert fingerprint("python:changing:one") != before

    folder = save_tiny(tmp_path / "model")
    before = fingerprint(str(folder))
    save_tiny(folder, head_width=4)
    assert fingerprint(str(folder)) != before

    before = fingerprint("torchmetrics:psnr")
    monkeypatch.setattr("torchmetrics.__version__", "0")
    assert fingerprint("torchmetrics:psnr") != before

    assert fingerprint("command:tool {dist}") == "command:tool {dist}"


def test_a_program_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no program no-such-tool: check its name and PATH"):
        load_peer("command:no-such-tool {dist}")


def test_a_program_that_was_made_again_is_another_peer(tmp_path):
    tool = tmp_path / "tool.sh"
    tool.write_text("#!/bin/sh\necho .25\n")
    tool.chmod(0o755)
    for spec in (f"command:{tool} {{dist}}", f"command:sh {tool} {{dist}}"):
        before = fingerprint(spec)
        assert fingerprint(spec) == before
        tool.write_text(f"#!/bin/sh\necho .75 # {spec}\n")
        assert fingerprint(spec) != before


def test_whatever_a_callable_does_the_batch_goes_on(tmp_path, monkeypatch, pair):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "odd.py").write_text(
        "import os\n"
        "def pair(dist, ref):\n    return [1, 2]\n"
        "def key(dist, ref):\n    raise KeyError('nothing')\n"
        "def leave(dist, ref):\n    raise SystemExit(3)\n"
        "def die(dist, ref):\n    os._exit(3)\n"
    )
    files = []
    for name, picture in zip(("dist", "ref"), pair, strict=True):
        files.append(tmp_path / f"{name}.png")
        Image.fromarray(picture).save(files[-1])
    pairs = [Pair(files[1], files[0])]
    for name, message in (
        ("pair", r"python:odd:pair gives '\[1, 2\]', where one number is needed"),
        ("key", r"python:odd:key failed \(KeyError: 'nothing'\)\."),
        ("leave", "python:odd:leave: SystemExit: 3"),
    ):
        peers = [f"python:odd:{name}", "torchmetrics:psnr"]
        scores, failures = score_by_peers(pairs, peers, tmp_path / f"{name}.jsonl", 1)
        assert np.isnan(scores).tolist() == [[True, False]]
        assert list(failures[0]) == [0]
        assert re.fullmatch(message, failures[0][0])
    with pytest.raises(ValueError, match="a process that scored pairs has ended by itself"):
        score_by_peers(pairs, ["python:odd:die"], tmp_path / "die.jsonl", 1)
