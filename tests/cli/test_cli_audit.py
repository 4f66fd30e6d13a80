"""birqa audit: what it says of honest pictures and of optimised ones, and of what it cannot look at."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from birqa.attacks import create_attack
from birqa.attacks.subjects import load_subject


@pytest.fixture
def suspects(tmp_path, photographs, damage):
    """A reference, an honest JPEG of it, and one that was optimised against the plain metric."""
    ref = photographs[0]
    honest = damage("jpeg", ref, 20)
    subject = load_subject("birqa.kadid")
    dist, clean = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None] / 255 for x in (honest, ref))
    attack = create_attack("pgd", eight_bit=True)
    (pushed,) = attack(subject.surrogate(attack), dist, clean, [8 / 255])
    pictures = {"ref": ref, "honest": honest, "pushed": torch.round(pushed[0] * 255).permute(1, 2, 0).numpy()}
    for name, picture in pictures.items():
        Image.fromarray(np.asarray(picture, np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def test_an_optimised_picture_is_found_and_an_honest_one_passes(cli, suspects):
    honest = cli("audit", suspects / "ref.png", suspects / "honest.png")
    assert honest.code == 0
    assert honest.out.splitlines()[1].startswith("clean\t")
    both = cli("audit", suspects / "ref.png", suspects / "honest.png", suspects / "pushed.png", "--json")
    assert both.code == 1
    rows = json.loads(both.out)
    assert [row["optimised"] for row in rows] == [False, True]
    assert rows[1]["plain"] > rows[0]["plain"]
    assert rows[1]["suspicion"] > rows[1]["threshold"] > rows[0]["suspicion"]


def test_a_bad_file_is_told_and_the_rest_goes_on(cli, suspects):
    (suspects / "bad.png").write_bytes(b"no picture")
    answer = cli("audit", suspects / "ref.png", suspects / "bad.png", suspects / "honest.png")
    assert answer.code == 2
    assert "bad.png" in answer.complaint
    header, failed, honest = (line.split("\t") for line in answer.out.splitlines())
    assert len(header) == len(failed) == len(honest)
    assert (failed[0], failed[-1]) == ("failed", str(suspects / "bad.png"))
    assert honest[-1] == str(suspects / "honest.png")
    rows = json.loads(cli("audit", suspects / "ref.png", suspects / "bad.png", "--json").out)
    assert [set(row) for row in rows] == [{"ref", "dist", "error"}]


def test_a_picture_halved_and_enlarged_again_is_not_taken_for_optimised(cli, suspects):
    ref = Image.open(suspects / "ref.png")
    half = ref.resize((ref.width // 2, ref.height // 2), Image.Resampling.BICUBIC)
    half.resize(ref.size, Image.Resampling.BICUBIC).save(suspects / "half.png")
    assert cli("audit", suspects / "ref.png", suspects / "half.png").out.splitlines()[1].startswith("clean")


def test_an_optimised_picture_counts_beside_accepted_files_without_partner(cli, suspects):
    for folder, names in (("refs", ("a", "lonely")), ("dists", ("a",))):
        (suspects / folder).mkdir()
        for name in names:
            kind = "pushed" if folder == "dists" else "ref"
            (suspects / folder / f"{name}.png").write_bytes((suspects / f"{kind}.png").read_bytes())
    assert cli("audit", suspects / "refs", suspects / "dists").code == 2
    assert cli("audit", suspects / "refs", suspects / "dists", "--allow-unmatched").code == 1
