"""birqa verify: what holds, what is refused with its cause, what could not be checked, and the exit codes."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from birqa.certify.certificate import _digest, load_certificate
from birqa.certify.words import interval_in_words

METRIC = "python:verified_metric:score"


@pytest.fixture
def certified(cli, tmp_path, monkeypatch):
    """p.png and c.json, its certificate of 200 draws."""
    (tmp_path / "verified_metric.py").write_text(
        "import numpy as np\n"
        "def score(pictures):\n    return np.array([picture.mean() for picture in pictures])\n"
        "def other(pictures):\n    return score(pictures) ** 2\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    pixels = np.random.default_rng(1).integers(0, 256, (16, 20, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    settings = ("--samples", 200, "--sigma", 0.2, "--confidence", 0.99, "-o", tmp_path / "c.json")
    assert cli("certify", tmp_path / "p.png", "--metric", METRIC, *settings).code == 0
    return tmp_path


@pytest.fixture
def refused(cli):
    """refused(message, *arguments): exit code 1, nothing but a sentence on stderr."""

    def run(message, *arguments):
        answer = cli("verify", *arguments)
        assert (answer.code, answer.out) == (1, "")
        assert answer.err.startswith("birqa: refused: ")
        assert answer.err.count("\n") == 1
        assert message in answer.complaint
        as_json = cli("verify", *arguments, "--json")
        assert as_json.code == 1
        record = json.loads(as_json.out)
        assert record["holds"] is False
        assert message in record["reason"]

    return run


def forge(folder, change, seal=True):
    """Let `change` alter the record; by default with a fresh sha256."""
    record = json.loads((folder / "c.json").read_text())
    change(record)
    if seal:
        record.pop("sha256")
        record["sha256"] = _digest(record)
    (folder / "forged.json").write_text(json.dumps(record))
    return folder / "forged.json"


def test_arithmetic_alone(cli, certified):
    answer = cli("verify", certified / "c.json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"{certified / 'c.json'} adds up; its draws are not checked without")
    assert "the interval follows from the 200 draws" in answer.out
    assert "not checked    whether picture, metric and draws are what it states" in answer.out


def test_with_the_picture(cli, certified):
    answer = cli("verify", certified / "c.json", certified / "p.png", "--metric", METRIC)
    assert (answer.code, answer.err) == (0, "")
    assert f"the picture is {certified / 'p.png'}" in answer.out
    assert "50 of 200 draws came out again, to within 0; had more than 5.8% been made up" in answer.out
    assert answer.out.startswith(f"{certified / 'c.json'} holds\n")
    assert "with fewer made up than that and the others off by " in answer.out
    assert "not checked    whether python:verified_metric:score is still the same code" in answer.out
    whole = cli(
        "verify", certified / "c.json", certified / "p.png", "--metric", METRIC, "--redraw", 999, "--json"
    )
    record = json.loads(whole.out)
    assert (record["holds"], record["redrawn"]) == (True, 200)
    assert "200 of 200 draws came out again, to within 0" in record["checked"]
    assert record["score"] == load_certificate(certified / "c.json").claim.score


def test_the_same_pixels_in_another_file(cli, certified):
    Image.open(certified / "p.png").save(certified / "renamed.webp", lossless=True)
    assert cli("verify", certified / "c.json", certified / "renamed.webp", "--metric", METRIC).code == 0


def test_a_changed_file(refused, certified):
    def widen(record):
        record["claim"]["high"] = 0.4

    refused("changed after it was written", forge(certified, widen, seal=False))


def test_wrong_arithmetic_under_a_fresh_digest(refused, certified):
    def narrow(record):
        record["claim"]["high"] = record["claim"]["score"]

    refused("arithmetic is wrong: it states high", forge(certified, narrow))

    def larger_radius(record):
        record["request"]["radius"] = 0.5

    refused("arithmetic is wrong", forge(certified, larger_radius))


def test_another_picture(refused, certified):
    Image.new("RGB", (20, 16), "red").save(certified / "red.png")
    refused(
        "about another picture (the size is the same, the pixels are not",
        *(certified / "c.json", certified / "red.png", "--metric", METRIC),
    )
    Image.new("RGB", (16, 20), "red").save(certified / "red.png")
    refused("20 x 16 pixels, not 16 x 20", certified / "c.json", certified / "red.png")


def test_another_metric(refused, certified):
    refused(
        "about metric python:verified_metric:score, not python:verified_metric:other",
        *(certified / "c.json", certified / "p.png", "--metric", "python:verified_metric:other"),
    )


def test_other_weights(cli, refused, folder, tmp_path):
    pair = (folder / "dist/b.png", "--ref", folder / "ref/b.png")
    settings = ("--samples", 8, "--confidence", 0.5, "--threads", 1, "-o", tmp_path / "c.json")
    assert cli("certify", *pair, *settings).code == 0

    def older(record):
        record["metric"]["sha256"] = "0" * 64

    refused("birqa.kadid", forge(tmp_path, older), *pair, "--threads", 1)
    message = "with other weights, graph or configuration (sha256 000000000000, not"
    refused(message, forge(tmp_path, older), *pair, "--threads", 1)
    refused(
        "not birqa.kadid-aat",
        *(tmp_path / "c.json", *pair, "--threads", 1, "--metric", "birqa.kadid-aat"),
    )
    refused(
        "about another reference",
        *(tmp_path / "c.json", pair[0], "--ref", pair[0], "--threads", 1),
    )


def test_draws_that_do_not_come_out(refused, certified):
    def another_seed(record):
        record["noise"]["seed"] ^= 1

    refused(
        "of 50 draws do not come out again: draw",
        *(forge(certified, another_seed), certified / "p.png", "--metric", METRIC),
    )


def test_what_cannot_be_checked(cli, refuses, certified, tmp_path):
    file, photo = certified / "c.json", certified / "p.png"
    refuses("somebody's code: if you trust it, name it with --metric", "verify", file, photo)
    refuses("nowhere.png does not exist", "verify", file, tmp_path / "nowhere.png")
    refuses("nowhere.json", "verify", tmp_path / "nowhere.json")
    refuses("it is not JSON", "verify", photo)
    (tmp_path / "other.json").write_text('{"a": 1}')
    refuses("no certificate of birqa's", "verify", tmp_path / "other.json")
    refuses("--redraw", "verify", file, photo, "--redraw", 0)

    def unknown(record):
        record["metric"]["name"] = "mine.own"

    refuses("there is no metric 'mine.own'", "verify", forge(certified, unknown), photo)


def test_a_reference_is_asked_for(cli, refuses, folder, tmp_path):
    shutil.copy(folder / "dist/b.png", tmp_path / "p.png")
    settings = ("--samples", 8, "--confidence", 0.5, "--threads", 1, "-o", tmp_path / "c.json")
    cli("certify", tmp_path / "p.png", "--ref", folder / "ref/b.png", *settings)
    refuses("give it with --ref", "verify", tmp_path / "c.json", tmp_path / "p.png")


def test_a_folder_of_certificates_with_a_folder_of_pictures(cli, certified):
    """Each with the picture of its name; what is wrong with one does not stop the others."""
    certificates, pictures = certified / "certificates", certified / "pictures"
    for folder in (certificates, pictures / "sub"):
        folder.mkdir(parents=True)
    # Of two pictures of one name, the one that is meant.
    Image.new("RGB", (20, 16), "red").save(pictures / "p.png")
    shutil.copy(certified / "p.png", pictures / "sub")
    shutil.copy(certified / "c.json", certificates / "a.json")
    answer = cli("verify", certificates, pictures, "--metric", METRIC)
    assert (answer.code, answer.err) == (0, "")
    claim = load_certificate(certified / "c.json").claim
    interval = interval_in_words(claim.low, claim.high)
    assert answer.out == f"holds\t{interval}\t{certificates / 'a.json'}\n"
    assert cli("verify", certificates).out.startswith(f"adds up\t{interval}\t")

    def another_seed(record):
        record["noise"]["seed"] ^= 1

    def renamed(record):
        record["picture"]["file"] = "elsewhere.png"

    shutil.copy(forge(certified, another_seed), certificates / "b.json")
    answer = cli("verify", certificates, pictures, "--metric", METRIC)
    assert answer.code == 1
    assert [line.split("\t")[0] for line in answer.out.splitlines()] == ["holds", "refused"]
    assert f"birqa: refused: {certificates / 'b.json'}: " in answer.err
    shutil.copy(forge(certified, renamed), certificates / "0.json")
    answer = cli("verify", certificates, pictures, "--metric", METRIC, "--json")
    assert answer.code == 2
    records = json.loads(answer.out)
    assert [record["holds"] for record in records] == [None, True, False]
    assert f"about elsewhere.png, which is not in {pictures}" in records[0]["reason"]
    assert records[2]["certificate"] == str(certificates / "b.json")
    assert len(records[2]["checked"]) == 3


def test_what_is_no_certificate_is_not_refused_and_hidden_files_are_none(cli, certified):
    folder = certified / "certificates"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(certified / "c.json", folder / "sub/C.JSON")
    (folder / "._c.json").write_bytes(b"\x00\x05\x16")
    (folder / ".hidden").mkdir()
    (folder / ".hidden/c.json").write_text("{}")
    assert cli("verify", folder).code == 0
    (folder / "scores.json").write_text('{"score": NaN}')
    answer = cli("verify", folder)
    assert answer.code == 2
    assert [line.split("\t")[0] for line in answer.out.splitlines()] == ["failed", "adds up"]
    assert "scores.json is no certificate of birqa's" in answer.err
    # Alone, JSON says so as well.
    answer = cli("verify", folder / "scores.json", "--json")
    assert answer.code == 2
    assert json.loads(answer.out)["holds"] is None


def test_pictures_are_found_whatever_else_has_their_name(cli, certified):
    """Unreadable ones, and accents in their other form."""
    pictures = certified / "pictures"
    for folder in ("a", "b", "c"):
        (pictures / folder).mkdir(parents=True)
    (pictures / "a/p.png").write_bytes(b"no picture")
    shutil.copy(certified / "p.png", pictures / "b")
    (pictures / "c/p.png").write_bytes(b"no picture")
    assert cli("verify", certified / "c.json", pictures, "--metric", METRIC).code == 0

    def accented(record):
        record["picture"]["file"] = "caf\u00e9.png"

    shutil.copy(certified / "p.png", pictures / "cafe\u0301.png")
    assert cli("verify", forge(certified, accented), pictures, "--metric", METRIC).code == 0


def test_a_refused_picture_is_named_with_the_size_that_it_has(refused, certified):
    Image.new("RGB", (40, 32), "red").save(certified / "large.png")
    refused(
        f"compared with {certified / 'large.png'}, 40 x 32, reduced to 20 x 16.",
        *(certified / "c.json", certified / "large.png", "--metric", METRIC),
    )


def test_a_folder_without_certificates(refuses, certified):
    (certified / "empty").mkdir()
    refuses("holds no certificates", "verify", certified / "empty")
