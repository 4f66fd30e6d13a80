"""birqa distort: the picture it writes, names it understands, and what it refuses."""

import numpy as np
import pytest
from PIL import Image

import birqa
import birqa.cli
from birqa.cli import distort
from birqa.data.distortions import KADID10K, TID2013
from birqa.data.synthesis import random_generator


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    commands = birqa.cli.app.registered_commands
    if all(command.name != "distort" for command in commands):
        monkeypatch.setattr(birqa.cli.app, "registered_commands", list(commands))
        birqa.cli.app.command("distort")(distort.command)


@pytest.fixture
def photo(tmp_path, photographs):
    path = tmp_path / "photo.png"
    Image.fromarray(photographs[0][:60, :80]).save(path)
    return path


def _expected(registry, number, level, photo, seed=0):
    image = birqa.load_image(photo).astype(np.float32) / np.float32(255)
    result = registry[number].apply(image, level, random_generator(seed, "photo", number, level))
    return np.rint(255 * result)


@pytest.mark.parametrize(
    ("name", "options", "registry", "number"),
    [
        ("10", (), KADID10K, 10),
        ("jpeg", (), KADID10K, 10),
        ("White-Noise", ("--seed", 3), KADID10K, 11),
        ("JPEG 2000", ("--database", "tid2013"), TID2013, 11),
        ("comfort", ("--database", "tid2013"), TID2013, 20),
    ],
)
def test_the_picture_is_the_one_of_the_data_set(cli, tmp_path, photo, name, options, registry, number):
    out = tmp_path / "out.png"
    answer = cli("distort", photo, "--type", name, "--level", 4, "-o", out, *options)
    assert (answer.code, answer.out, answer.err) == (0, f"{out}\n", "")
    seed = 3 if "--seed" in options else 0
    np.testing.assert_array_equal(birqa.load_image(out), _expected(registry, number, 4, photo, seed))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.png"]


def test_without_a_name_the_picture_lands_here_and_is_named_after_what_was_done(
    cli, tmp_path, photo, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    answer = cli("distort", photo, "--type", "jpeg", "--level", 3)
    assert (answer.code, answer.out) == (0, "photo-jpeg-3.png\n")
    np.testing.assert_array_equal(
        birqa.load_image(tmp_path / "photo-jpeg-3.png"), _expected(KADID10K, 10, 3, photo)
    )


def test_a_grid_into_a_folder_is_every_picture_whole_and_the_sheet(cli, tmp_path, photo):
    out = tmp_path / "grid"
    assert cli("distort", photo, "--grid", "--type", "jpeg", "-o", out).code == 0
    names = [*(f"10-jpeg-{level}.png" for level in range(1, 6)), "sheet.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    np.testing.assert_array_equal(birqa.load_image(out / names[1]), _expected(KADID10K, 10, 2, photo))


def test_sixteen_bit_pictures_are_read_in_full(cli, tmp_path):
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "photo.png")
    out = tmp_path / "out.bmp"
    assert cli("distort", tmp_path / "photo.png", "--type", "16", "--level", 2, "-o", out,
               "--database", "tid2013").code == 0  # fmt: skip
    expected = np.rint(255 * np.minimum(ramp / 65535 + 10 / 255, 1))
    with Image.open(out) as picture:
        assert (picture.format, picture.mode) == ("BMP", "RGB")
        np.testing.assert_allclose(np.asarray(picture)[..., 1], expected, atol=1)


def test_the_grid_has_a_row_for_each_type_and_a_column_for_each_level(cli, tmp_path, photo):
    out = tmp_path / "sheet.png"
    assert cli("distort", photo, "--type", "brighten", "--grid", "-o", out).code == 0
    one = birqa.load_image(out).astype(float)
    # Five tiles of 80 x 60 in one row, the brightest on the right.
    means = [one[16:76, 4 + 84 * column : 84 + 84 * column].mean() for column in range(5)]
    assert means == sorted(means)
    assert means[4] > means[0] + 20
    for column in range(5):
        tile = one[16:76, 4 + 84 * column : 84 + 84 * column]
        np.testing.assert_array_equal(tile, _expected(KADID10K, 16, column + 1, photo))
    assert (one[:16] < 128).any()

    assert cli("distort", photo, "--grid", "-o", out, "--database", "tid2013").code == 0
    sheet = birqa.load_image(out)
    height = one.shape[0]
    assert sheet.shape == (24 * height, one.shape[1], 3)
    for number in (10, 18):
        top = (number - 1) * height + 16
        np.testing.assert_array_equal(sheet[top : top + 60, 4:84], _expected(TID2013, number, 1, photo))


def test_a_large_picture_is_shrunk_for_the_grid(cli, tmp_path):
    Image.new("RGB", (400, 200), (90, 120, 30)).save(tmp_path / "large.png")
    out = tmp_path / "sheet.png"
    assert cli("distort", tmp_path / "large.png", "--type", "1", "--grid", "-o", out).code == 0
    with Image.open(out) as sheet:
        assert sheet.width == 5 * (192 + 4) + 4


def test_what_cannot_be_done_is_one_sentence(refuses, tmp_path, photo):
    out = ("-o", tmp_path / "out.png")
    asked = ("distort", photo, *out, "--level", 1)
    refuses("near it: Gaussian blur (1)", *asked, "--type", "gausian blur")
    refuses("saturation 1 (7), saturation 2 (8)", *asked, "--type", "saturation")
    refuses("'masked-noise', but the other --database has", *asked, "--type", "masked-noise")
    refuses("has no type 26; choose from 1 to 25", *asked, "--type", "26")
    refuses("--type is missing", *asked)
    refuses("either --level", "distort", photo, *out, "--type", "1")
    refuses("either --level", *asked, "--type", "1", "--grid")
    refuses("level", "distort", photo, *out, "--type", "1", "--level", 6)
    refuses("which lose nothing", "distort", photo, "-o", tmp_path / "out.jpg", "--type", "1", "--level", 1)
    refuses("does not exist", "distort", photo, "-o", tmp_path / "no/out.png", "--type", "1", "--level", 1)
    refuses("does not exist", "distort", tmp_path / "no.png", *out, "--type", "1", "--level", 1)
    (tmp_path / "text.png").write_text("text")
    refuses("text.png is not a picture", "distort", tmp_path / "text.png", *out, "--type", "1", "--level", 1)
    Image.new("RGB", (40, 20)).save(tmp_path / "small.png")
    refuses("it is 40x20, but", "distort", tmp_path / "small.png", *out, "--type", "1", "--level", 1)
    Image.new("RGB", (800, 40)).save(tmp_path / "long.png")
    refuses("on the sheet it would be 192x10", "distort", tmp_path / "long.png", *out, "--grid")
    assert not (tmp_path / "out.png").exists()
