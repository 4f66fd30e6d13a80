"""The data sets that are made from the distortions: files, labels, seeds and error messages."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birqa.data import synthesis
from birqa.data.distortions import KADID10K, LEVELS
from birqa.data.distortions._pixels import from_uint8, to_uint8
from birqa.data.distortions.varied import FAMILIES
from birqa.data.synthesis import (
    _Job,
    _record_sources,
    build_combined,
    build_kadid,
    build_tid2013,
    build_varied,
    random_generator,
    read_cells,
)

SHARED = Path("/work/shared/data")


def _photograph(path: Path, width: int = 40, height: int = 36) -> Path:
    rng = np.random.default_rng(len(path.stem) + ord(path.stem[-1]))
    small = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8))
    small.resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def _table(path: Path, header: str, rows) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def photographs(tmp_path):
    return [_photograph(tmp_path / f"photo{name}.png") for name in "ab"]


@pytest.fixture
def ratings(tmp_path):
    rows = (
        (ref, kind, level, 1 - level / 10 - kind / 100 + (0.02 if ref == 2 else 0.0), 0.5)
        for ref in (1, 2)
        for kind in KADID10K
        for level in LEVELS
    )
    return _table(tmp_path / "kadid.csv", "ref,type,level,quality,variance", rows)


def _pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "dist").iterdir())}


def _meta(folder: Path) -> list[dict[str, str]]:
    with (folder / "meta.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_cells(ratings):
    cells = read_cells(ratings)
    assert len(cells) == 125
    assert cells[3, 2] == pytest.approx((0.78, 0.01))


def test_build_kadid(tmp_path, photographs, ratings):
    seen = []
    out = tmp_path / "set"
    # Undistorted pictures may be rated as well; none are made.
    with ratings.open("a") as file:
        file.write("1,1,0,0.95,0.5\n")
    meta = build_kadid(
        photographs,
        out,
        ratings_csv=ratings,
        workers=1,
        split_of={"photoa": "train"},
        progress=lambda done, total: seen.append((done, total)),
    )
    assert meta == out / "meta.csv"
    assert seen == [(1, 2), (2, 2)]
    rows = _meta(out)
    assert len(rows) == 2 * 125
    assert list(rows[0]) == ["ref", "dist", "mos", "std", "type", "level", "split"]
    assert {row["split"] for row in rows} == {"train", ""}
    assert not list(out.rglob("*.tmp"))

    row = next(row for row in rows if row["dist"] == "dist/photob_10_4.png")
    assert (row["ref"], row["type"], row["level"]) == ("ref/photob.png", "10", "4")
    assert float(row["mos"]) == pytest.approx(0.51)
    assert float(row["std"]) == pytest.approx(0.01)
    for row in rows:
        assert (out / row["ref"]).is_file()
        assert (out / row["dist"]).is_file()
    np.testing.assert_array_equal(
        np.asarray(Image.open(out / "ref/photoa.png")), np.asarray(Image.open(photographs[0]))
    )
    source = from_uint8(np.asarray(Image.open(photographs[0])))
    expected = KADID10K[11].apply(source, 5, random_generator(0, "photoa", 11, 5))
    np.testing.assert_array_equal(np.asarray(Image.open(out / "dist/photoa_11_5.png")), to_uint8(expected))


def test_a_subset_in_other_order_and_in_processes_makes_the_same_pictures(tmp_path, photographs, ratings):
    build_kadid(photographs, tmp_path / "one", ratings_csv=ratings, workers=1)
    build_kadid(photographs[::-1], tmp_path / "two", ratings_csv=ratings, workers=2)
    build_kadid(photographs[1:], tmp_path / "part", ratings_csv=ratings, workers=1)
    build_kadid(photographs[1:], tmp_path / "seed", ratings_csv=ratings, workers=1, seed=1)
    one = _pictures(tmp_path / "one")
    assert one == _pictures(tmp_path / "two")
    part = _pictures(tmp_path / "part")
    assert part.items() < one.items()
    differing = {name for name, data in _pictures(tmp_path / "seed").items() if data != part[name]}
    assert {f"photob_11_{level}.png" for level in LEVELS} <= differing
    assert "photob_01_5.png" not in differing


def test_the_generator_does_not_depend_on_the_run():
    assert random_generator(0, "photo", 11, 5).integers(0, 2**32) == 3032663354
    draws = {
        random_generator(*key).integers(0, 2**63)
        for key in [
            (0, "a", 1, 1),
            (1, "a", 1, 1),
            (0, "b", 1, 1),
            (0, "a", 2, 1),
            (0, "a", 1, 2),
            (0, "a", 11, 1),
        ]
    }
    assert len(draws) == 6


def test_resuming_keeps_what_exists_and_makes_the_rest(tmp_path, photographs, ratings):
    out = tmp_path / "set"
    build_kadid(photographs[:1], out, ratings_csv=ratings, image_format="bmp", workers=1)
    kept, removed = out / "dist/photoa_01_1.bmp", out / "dist/photoa_02_1.bmp"
    before = removed.read_bytes()
    kept.write_bytes(b"kept")
    removed.unlink()
    (out / "meta.csv").unlink()
    build_kadid(photographs[:1], out, ratings_csv=ratings, image_format="bmp", workers=1)
    assert kept.read_bytes() == b"kept"
    assert removed.read_bytes() == before
    assert len(_meta(out)) == 125


def test_a_failed_run_leaves_no_meta_and_no_half_picture(tmp_path, photographs, ratings, monkeypatch):
    def broken(self, *args, **kwargs):
        Path(args[0]).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", broken)
    with pytest.raises(OSError, match="disk full"):
        build_kadid(photographs, tmp_path / "set", ratings_csv=ratings, workers=1)
    assert not (tmp_path / "set/meta.csv").exists()
    assert not list((tmp_path / "set").rglob("*.png"))


def test_build_tid2013(tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "TID2013_CROPS", ((3, 5), (0, 0)))
    monkeypatch.setattr(synthesis, "TID2013_CROP_SIZE", (32, 24))
    kodak = tmp_path / "kodak"
    kodak.mkdir()
    sources = [_photograph(kodak / f"kodim0{number}.png") for number in (1, 2)]
    rows = [
        (ref, kind, level, ref / 10 + level / 100) for ref in (1, 2) for kind in (8, 16) for level in LEVELS
    ]
    table = _table(tmp_path / "tid.csv", "ref,type,level,quality", rows)
    out = tmp_path / "tid"
    build_tid2013(kodak, out, types=(8, 16), ratings_csv=table, workers=1)
    meta = _meta(out)
    assert len(meta) == 2 * 2 * 5
    assert {(row["split"], row["std"]) for row in meta} == {("test", "")}
    row = next(row for row in meta if row["dist"] == "dist/kodim02_16_3.png")
    assert float(row["mos"]) == pytest.approx(0.23)
    crop = np.asarray(Image.open(sources[0]))[5:29, 3:35]
    np.testing.assert_array_equal(np.asarray(Image.open(out / "ref/kodim01.png")), crop)
    shifted = np.asarray(Image.open(out / "dist/kodim01_16_2.png"))
    np.testing.assert_array_equal(shifted, np.minimum(crop.astype(int) + 10, 255))

    with pytest.raises(ValueError, match="type 25 cannot be re-made"):
        build_tid2013(kodak, out, types=(25,), ratings_csv=table)
    with pytest.raises(ValueError, match="no rating for reference 1, type 1, level 1"):
        build_tid2013(kodak, out, types=(1,), ratings_csv=table)
    _photograph(kodak / "kodim01.png", width=20)
    with pytest.raises(ValueError, match="too small for the crop"):
        build_tid2013(kodak, tmp_path / "small", types=(8,), ratings_csv=table, workers=1)
    sources[1].unlink()
    with pytest.raises(FileNotFoundError, match="no kodim02; put all 24"):
        build_tid2013(kodak, out, types=(8,), ratings_csv=table)
    with pytest.raises(FileNotFoundError, match=r"Kodak folder .* not found"):
        build_tid2013(tmp_path / "nowhere", out, types=(8,), ratings_csv=table)


def test_errors_say_how_to_mend_them(tmp_path, photographs, ratings):
    out = tmp_path / "set"
    with pytest.raises(ValueError, match="no reference photographs given; pass at least one"):
        build_kadid([], out, ratings_csv=ratings)
    with pytest.raises(FileNotFoundError, match=r"missing\.png not found; check the path"):
        build_kadid([tmp_path / "missing.png"], out, ratings_csv=ratings)
    with pytest.raises(FileNotFoundError, match=r"ratings table .* not found; pass the CSV"):
        build_kadid(photographs, out, ratings_csv=tmp_path / "none.csv")
    with pytest.raises(ValueError, match="lacks the column 'quality'"):
        build_kadid(photographs, out, ratings_csv=_table(tmp_path / "a.csv", "type,level", [(1, 1)]))
    with pytest.raises(ValueError, match="no rating for type 1, level 2; use the complete"):
        build_kadid(
            photographs, out, ratings_csv=_table(tmp_path / "b.csv", "type,level,quality", [(1, 1, 0.5)])
        )
    for cell in ("x", "", "nan"):
        bad = _table(tmp_path / "c.csv", "type,level,quality", [(1, 1, 0.5), (1, 2, cell)])
        with pytest.raises(ValueError, match=r"c\.csv, line 3: type, level, quality are not all numbers"):
            build_kadid(photographs, out, ratings_csv=bad)
    with pytest.raises(ValueError, match="choose png or bmp"):
        build_kadid(photographs, out, ratings_csv=ratings, image_format="jpg")
    twin = tmp_path / "other"
    twin.mkdir()
    with pytest.raises(ValueError, match="share the name 'photoa'"):
        build_kadid([*photographs, _photograph(twin / "photoa.png")], out, ratings_csv=ratings)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared ratings")
def test_real_cells():
    cells = read_cells(SHARED / "ratings/kadid10k.csv")
    assert len(cells) == 125
    assert cells[1, 1][0] == pytest.approx(0.919, abs=1e-3)


def test_combined_pictures_are_two_distortions_in_turn(photographs, tmp_path):
    out = tmp_path / "set"
    build_combined(photographs, out, count=6, image_format="bmp", seed=3, workers=1)
    rows = _meta(out)
    assert len(rows) == 12
    assert len({row["dist"] for row in rows}) == 12
    for row in rows:
        assert row["mos"] == ""
        first, second = map(int, row["type"].split("+"))
        levels = list(map(int, row["level"].split("+")))
        assert first != second
        assert all(1 <= level <= 4 for level in levels)
        picture = from_uint8(np.asarray(Image.open(out / row["ref"])))
        for number, level in zip((first, second), levels, strict=True):
            rng = random_generator(3, Path(row["dist"]).name, number, level)
            picture = KADID10K[number].apply(picture, level, rng)
        np.testing.assert_array_equal(to_uint8(picture), np.asarray(Image.open(out / row["dist"])))


@pytest.mark.parametrize("build", [build_combined, build_varied])
def test_unrated_pictures_are_the_same_again_and_others_under_another_seed(photographs, tmp_path, build):
    def made(name, seed):
        build(photographs, tmp_path / name, count=3, image_format="bmp", seed=seed, workers=1)
        return _pictures(tmp_path / name)

    first = made("a", 1)
    assert made("b", 1) == first
    assert made("c", 2) != first


def test_varied_pictures_are_families_with_their_kin(photographs, tmp_path):
    out = tmp_path / "set"
    build_varied(photographs, out, count=12, image_format="bmp", seed=3, workers=1)
    rows = _meta(out)
    assert len({row["dist"] for row in rows}) == len(rows) == 24
    for row in rows:
        family = FAMILIES[row["level"]]
        assert row["mos"] == ""
        assert tuple(map(int, row["type"].split("|"))) == family.kin
        reference = from_uint8(np.asarray(Image.open(out / row["ref"])))
        expected = family.function(reference, random_generator(3, Path(row["dist"]).name, 1, 0))
        np.testing.assert_array_equal(to_uint8(expected), np.asarray(Image.open(out / row["dist"])))
    assert len({row["level"] for row in rows}) > 4


# Sources --------------------------------------------------------------------------------


def _stored(picture: Image.Image, path: Path, out: Path, **options) -> np.ndarray:
    """The reference that is made of the picture saved so."""
    picture.save(path, **options)
    build_combined([path], out, count=1, workers=1)
    return np.asarray(Image.open(out / f"ref/{path.stem}.png")).astype(int)


def test_photographs_are_read_as_everywhere_else(tmp_path):
    """16 bits in full, upright, and transparency laid on grey."""
    ramp = np.linspace(0, 65535, 36 * 40).reshape(36, 40)
    deep = _stored(Image.fromarray(ramp.astype(np.uint16)), tmp_path / "deep.png", tmp_path / "a")
    np.testing.assert_allclose(deep[..., 1], ramp / 257, atol=1)

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (36, 40, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = _stored(picture, tmp_path / "turned.png", tmp_path / "b", exif=exif)
    np.testing.assert_array_equal(turned, np.asarray(picture.transpose(Image.Transpose.ROTATE_270)))

    picture.putalpha(0)
    clear = _stored(picture, tmp_path / "clear.png", tmp_path / "c")
    np.testing.assert_allclose(clear, 127.5, atol=0.5)


def test_what_is_damaged_is_the_reference_as_it_is_stored(tmp_path):
    ramp = np.linspace(0, 65535, 36 * 40).reshape(36, 40).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    out = tmp_path / "set"
    build_varied([tmp_path / "deep.png"], out, count=3, workers=1)
    for row in _meta(out):
        stored = from_uint8(np.asarray(Image.open(out / row["ref"])))
        rng = random_generator(0, Path(row["dist"]).name, 1, 0)
        expected = to_uint8(FAMILIES[row["level"]].function(stored, rng))
        np.testing.assert_array_equal(expected, np.asarray(Image.open(out / row["dist"])))


def test_a_truncated_photograph_is_named_and_may_be_mended(tmp_path, photographs, ratings):
    whole = photographs[0].read_bytes()
    photographs[0].write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "set"
    with pytest.raises(ValueError, match=r"photoa\.png"):
        build_kadid(photographs[:1], out, ratings_csv=ratings, workers=1)
    photographs[0].write_bytes(whole)
    build_kadid(photographs[:1], out, ratings_csv=ratings, workers=1)
    assert len(_meta(out)) == 125


def test_pictures_of_another_database_or_crop_are_not_kept(tmp_path, photographs):
    job = _Job(photographs[0], tmp_path, "kadid10k", (), "png", 0)
    _record_sources([job])
    (tmp_path / "ref").mkdir()
    (tmp_path / "ref" / "photoa.png").touch()
    _record_sources([job])
    for other in (replace(job, database="tid2013"), replace(job, crop=(0, 0, 8, 8))):
        with pytest.raises(ValueError, match=r"holds pictures made from photoa\.png for kadid10k"):
            _record_sources([other])
    # A record from before these were told.
    record = json.loads((tmp_path / "sources.json").read_text())
    for made_of in record.values():
        del made_of["database"], made_of["crop"]
    (tmp_path / "sources.json").write_text(json.dumps(record))
    _record_sources([job])


def test_pictures_of_another_photograph_or_seed_are_not_kept(tmp_path, photographs):
    out = tmp_path / "set"
    build_combined(photographs, out, count=2, workers=1)
    before = _pictures(out)
    with pytest.raises(ValueError, match="holds pictures made from seed 0: choose another folder"):
        build_combined(photographs, out, count=2, workers=1, seed=5)
    build_combined(photographs, out, count=2, workers=1)
    assert _pictures(out) == before
    Image.new("RGB", (40, 36), (200, 10, 10)).save(photographs[0])
    with pytest.raises(
        ValueError, match=r"holds pictures made from another photoa\.png: choose another folder"
    ):
        build_combined(photographs, out, count=2, workers=1)
    # The other photograph is the same as before.
    build_combined(photographs[1:], out, count=2, workers=1)


@pytest.mark.parametrize("row", ["26,1,1,0.5", "1,25,1,0.5", "1,1,6,0.5", "0,1,1,0.5"])
def test_ratings_of_another_database_are_refused_for_tid2013(tmp_path, monkeypatch, row):
    monkeypatch.setattr(synthesis, "TID2013_CROPS", ((3, 5),))
    monkeypatch.setattr(synthesis, "TID2013_CROP_SIZE", (32, 24))
    _photograph(tmp_path / "kodim01.png")
    rows = [(1, 8, level, 0.5) for level in LEVELS]
    table = _table(tmp_path / "ratings.csv", "ref,type,level,quality", [*rows, row.split(",")])
    with pytest.raises(ValueError, match=r"ratings\.csv rates reference .* which TID2013 does not have"):
        build_tid2013(tmp_path, tmp_path / "set", types=(8,), ratings_csv=table, workers=1)
    assert not (tmp_path / "set").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared ratings and photographs")
def test_the_real_table_of_kadid_is_refused_for_tid2013(tmp_path):
    with pytest.raises(ValueError, match=r"kadid10k\.csv rates reference .* which TID2013 does not have"):
        build_tid2013(SHARED / "kodak", tmp_path, ratings_csv=SHARED / "ratings/kadid10k.csv", workers=1)
