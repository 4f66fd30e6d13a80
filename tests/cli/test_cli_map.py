"""birqa map: the explanation as a picture."""

import numpy as np
import pytest
from PIL import Image

from birqa.report.picture import BAR, BAR_LENGTH, TRACK, VIRIDIS, colour_map


@pytest.mark.parametrize(
    ("suffix", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP"), ("PNG", "PNG")]
)
def test_the_sheet_is_written_in_the_format_of_its_name(cli, folder, metric_of, suffix, kind):
    ref, dist, out = folder / "ref/a.png", folder / "dist/a.webp", folder / f"sheet.{suffix}"
    answer = cli("map", ref, dist, "-o", out)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{float(metric_of()(dist, ref)[0]):.4f}\t{out}\n"
    with Image.open(out) as sheet:
        # Three panels 480x360 with margins of 16; below them two rows of thumbnails 120x90.
        assert (sheet.format, sheet.mode, sheet.size) == (kind, "RGB", (3 * 480 + 4 * 16, 716))
    assert sorted(path.name for path in folder.iterdir()) == ["dist", "ref", out.name]


@pytest.mark.parametrize("size", [(32, 201), (201, 32), (40, 40)])
def test_pictures_of_any_shape_fit_and_nothing_covers_the_bars(cli, folder, size):
    path = folder / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    assert cli("map", path, path, "-o", folder / "sheet.png").code == 0
    sheet = np.asarray(Image.open(folder / "sheet.png"))
    height, width = sheet.shape[:2]
    assert 900 < width <= 1504
    assert 250 < height <= 900
    bars = (sheet == TRACK).all(axis=2) | (sheet == BAR).all(axis=2)
    rows = bars.sum(axis=1)
    # Four levels with three bars each, in rows 15 pixels high.
    assert (rows == 3 * (BAR_LENGTH + 1)).sum() == 4 * 15


def test_the_sheet_shows_the_pictures_and_where_the_damage_is(cli, folder, photographs, damage):
    dist = photographs[0].copy()
    dist[:40, :40] = damage("noise", dist[:40, :40], 40)
    for name, pixels in (("ref", photographs[0]), ("dist", dist)):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    assert cli("map", folder / "ref.png", folder / "dist.png", "-o", folder / "sheet.png").code == 0
    sheet = np.asarray(Image.open(folder / "sheet.png")).astype(int)
    first, second, heat = (
        sheet[88 : 88 + 360, left : left + 480] for left in (16 + index * 496 for index in range(3))
    )
    enlarged = np.asarray(Image.fromarray(photographs[0]).resize((480, 360), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(first, enlarged)
    changed = np.abs(first - second).max(axis=2) > 8
    assert changed[:140, :140].mean() > 0.5
    assert not changed[200:, 200:].any()
    assert heat[20:120, 20:120].mean() < 0.8 * heat[250:, 300:].mean()


def test_the_colour_map_runs_from_violet_to_yellow_and_gets_lighter():
    ramp = colour_map(np.linspace(0, 1, 101)[None])
    assert ramp.dtype == np.uint8
    assert tuple(ramp[0, 0]) == tuple(VIRIDIS[0]) == (68, 1, 84)
    assert tuple(ramp[0, -1]) == tuple(VIRIDIS[-1]) == (253, 231, 37)
    lightness = ramp[0] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > -1).all()
    assert lightness[-1] > 4 * lightness[0]


@pytest.mark.parametrize("name", ["sheet", "sheet.txt", "sheet.psd", "sheet.fits"])
def test_a_name_that_is_no_format_to_write_is_refused(refuses, folder, name):
    refuses(
        "name the picture .png, .jpg or .webp",
        "map",
        folder / "ref/a.png",
        folder / "dist/a.webp",
        "-o",
        folder / name,
    )
    assert sorted(path.name for path in folder.iterdir()) == ["dist", "ref"]


def test_an_older_sheet_survives_a_failure(refuses, folder):
    out = folder / "sheet.png"
    out.write_bytes(b"older")
    (folder / "dist/b.png").write_bytes(b"damaged")
    refuses("is not a picture", "map", folder / "ref/b.png", folder / "dist/b.png", "-o", out)
    assert out.read_bytes() == b"older"
    assert sorted(path.name for path in folder.iterdir()) == ["dist", "ref", "sheet.png"]


def test_a_missing_folder_for_the_sheet_is_named(refuses, folder):
    out = folder / "absent" / "sheet.png"
    refuses(str(folder / "absent"), "map", folder / "ref/a.png", folder / "dist/a.webp", "-o", out)


def test_sizes_and_background_follow_the_options(cli, refuses, folder, photographs):
    half = folder / "half.png"
    Image.fromarray(photographs[0]).resize((64, 48)).save(half)
    out = folder / "sheet.png"
    refuses("--resize", "map", folder / "ref/a.png", half, "-o", out)
    assert cli("map", folder / "ref/a.png", half, "-o", out, "--resize", "dist-to-ref").code == 0
    refuses("is not a grey level", "map", half, half, "-o", out, "--background", "red")


def test_quality_is_drawn_from_0_to_1_unless_stretched(cli, folder, photographs):
    """Slight damage all over: yellow among all pictures there are, violet among its own parts."""
    for name, pixels in (("ref", photographs[0]), ("dist", np.clip(photographs[0], 2, 253) - 2)):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    ref, dist, out = folder / "ref.png", folder / "dist.png", folder / "sheet.png"

    def heat(*arguments):
        assert cli("map", *arguments, "-o", out).code == 0
        return np.asarray(Image.open(out)).astype(int)[88 : 88 + 360, 2 * 496 + 16 : 2 * 496 + 496]

    assert (heat(ref, ref) == VIRIDIS[-1]).all()
    assert (heat(ref, ref, "--stretch") == VIRIDIS[-1]).all()
    plain, stretched = heat(ref, dist), heat(ref, dist, "--stretch")
    assert plain[..., 1].min() > 120
    assert stretched[..., 1].min() < 20
