import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from birqa.pairing import IMAGE_SUFFIXES, Pair, PairingError, list_pictures, pair_inputs, read_pairs_csv


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_suffixes():
    assert isinstance(IMAGE_SUFFIXES, frozenset)
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif"} <= IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)


def test_pairs_are_values():
    assert Pair(Path("a"), Path("b")) == Pair(Path("a"), Path("b"))
    with pytest.raises(AttributeError):
        Pair(Path("a"), Path("b")).ref = Path("c")


def test_file_and_files(tmp_path):
    touch(tmp_path, "r.png", "b.jpg", "a.jpg", "odd.xyz")
    ref, b, a, odd = (tmp_path / name for name in ("r.png", "b.jpg", "a.jpg", "odd.xyz"))
    assert pair_inputs(ref, [a]) == ([Pair(ref, a)], [])
    # In the order given, whatever the suffix, and the reference itself if named outright
    expected = [Pair(ref, b), Pair(ref, a), Pair(ref, odd), Pair(ref, ref)]
    assert pair_inputs(ref, [b, a, odd, ref]) == (expected, [])
    assert pair_inputs(str(ref), [str(a)]) == ([Pair(ref, a)], [])


def test_file_and_folder(tmp_path):
    touch(
        tmp_path,
        "d/b.PNG",
        "d/a.jpg",
        "d/sub/c.webp",
        "d/notes.txt",
        "d/.hidden.png",
        "d/.thumbs/x.png",
        "e.png",
    )
    touch(tmp_path, "d/ref.png")
    ref, folder = tmp_path / "d" / "ref.png", tmp_path / "d"
    pairs, left = pair_inputs(ref, [folder, tmp_path / "e.png"])
    found = [folder / "a.jpg", folder / "b.PNG", folder / "sub" / "c.webp", tmp_path / "e.png"]
    assert pairs == [Pair(ref, path) for path in found]
    assert left == []


def test_folder_that_holds_only_the_reference(tmp_path):
    touch(tmp_path, "ref.png")
    with pytest.raises(PairingError, match="holds no picture but the reference"):
        pair_inputs(tmp_path / "ref.png", [tmp_path])


def test_folders_pair_by_stem(tmp_path):
    ref = touch(tmp_path / "ref", "b.png", "a.PNG", "sub/a.png", "v1.2.png", "lonely.png", "readme.txt")
    dist = touch(
        tmp_path / "dist", "a.jpg", "b.webp", "sub/a.avif", "v1.2.jpg", "v1.3.jpg", "sub/b.png", ".c.png"
    )
    pairs, left = pair_inputs(ref, [dist])
    assert pairs == [
        Pair(ref / "a.PNG", dist / "a.jpg"),
        Pair(ref / "b.png", dist / "b.webp"),
        Pair(ref / "sub" / "a.png", dist / "sub" / "a.avif"),
        Pair(ref / "v1.2.png", dist / "v1.2.jpg"),
    ]
    assert left == [dist / "sub" / "b.png", dist / "v1.3.jpg", ref / "lonely.png"]


def test_folder_within_the_other(tmp_path):
    ref = touch(tmp_path, "a.png", "b.png", "out/a.jpg")
    pairs, left = pair_inputs(ref, [ref / "out"])
    assert pairs == [Pair(ref / "a.png", ref / "out" / "a.jpg")]
    assert left == [ref / "b.png"]


def test_folders_pair_by_name_in_whatever_folder(tmp_path):
    ref = touch(tmp_path / "ref", "a.png", "sub/b.png", "lonely.png")
    dist = touch(tmp_path / "dist", "q10/a.jpg", "q30/a.jpg", "q10/b.jpg", "q10/a_q10.jpg")
    pairs, left = pair_inputs(ref, [dist], "name")
    assert pairs == [
        Pair(ref / "a.png", dist / "q10" / "a.jpg"),
        Pair(ref / "a.png", dist / "q30" / "a.jpg"),
        Pair(ref / "sub" / "b.png", dist / "q10" / "b.jpg"),
    ]
    assert left == [dist / "q10" / "a_q10.jpg", ref / "lonely.png"]


def test_folders_pair_by_the_longest_beginning_of_a_name(tmp_path):
    ref = touch(tmp_path / "ref", "kodim1.png", "kodim10.png", "kodim1_crop.png")
    dist = touch(
        tmp_path / "dist",
        "kodim1.jpg",
        "kodim10_q30.jpg",
        "q50/kodim1-q50.webp",
        "kodim1_crop_q30.jpg",
        "kodim1_cropped.jpg",
        "kodim11_q30.jpg",
        "kodim1b.jpg",
    )
    pairs, left = pair_inputs(ref, [dist], "prefix")
    assert pairs == [
        Pair(ref / "kodim1.png", dist / "kodim1.jpg"),
        Pair(ref / "kodim1.png", dist / "kodim1_cropped.jpg"),
        Pair(ref / "kodim1.png", dist / "q50" / "kodim1-q50.webp"),
        Pair(ref / "kodim10.png", dist / "kodim10_q30.jpg"),
        Pair(ref / "kodim1_crop.png", dist / "kodim1_crop_q30.jpg"),
    ]
    assert left == [dist / "kodim11_q30.jpg", dist / "kodim1b.jpg"]


def test_numbered_frames_find_the_reference_of_their_folder(tmp_path):
    ref = touch(tmp_path / "ref", "s1/001.png", "s2/001.png")
    dist = touch(tmp_path / "dist", "s1/001_q30.png", "q30/s2/001.png", "s3/001.png")
    with pytest.raises(PairingError, match="named alike"):
        pair_inputs(ref, [dist], "prefix")
    (dist / "s3/001.png").unlink()
    assert pair_inputs(ref, [dist], "prefix") == (
        [
            Pair(ref / "s1" / "001.png", dist / "s1" / "001_q30.png"),
            Pair(ref / "s2" / "001.png", dist / "q30" / "s2" / "001.png"),
        ],
        [],
    )


def test_accents_belong_to_their_letters_however_they_are_written(tmp_path):
    whole, split = "caf\u00e9", "cafe\u0301"
    ref = touch(tmp_path / "ref", "cafe.png", f"{whole}.png")
    dist = touch(tmp_path / "dist", f"{split}.jpg", f"{split}_q30.jpg")
    expected = [Pair(ref / f"{whole}.png", dist / f"{split}{end}.jpg") for end in ("", "_q30")]
    assert sorted(pair_inputs(ref, [dist], "prefix")[0], key=lambda pair: pair.dist.name) == sorted(
        expected, key=lambda pair: pair.dist.name
    )
    assert pair_inputs(ref, [dist])[0] == expected[:1]


@pytest.mark.parametrize("match", ["path", "name", "prefix"])
def test_files_of_a_folder_inside_the_other_are_of_the_inner_one(tmp_path, match):
    folder = touch(tmp_path, "a.png", "originals/a.png")
    assert pair_inputs(folder / "originals", [folder], match) == (
        [Pair(folder / "originals" / "a.png", folder / "a.png")],
        [],
    )


def test_references_named_alike_in_two_folders(tmp_path):
    ref, dist = touch(tmp_path / "ref", "a.png", "sub/a.png"), touch(tmp_path / "dist", "a.jpg")
    assert len(pair_inputs(ref, [dist])[0]) == 1
    with pytest.raises(PairingError, match=r"a\.png and .*a\.png are named alike, so which .* of .*a\.jpg"):
        pair_inputs(ref, [dist], "name")


def test_every_version_of_a_reference_is_a_pair(tmp_path):
    ref, dist = (
        touch(tmp_path / "ref", "a.png"),
        touch(tmp_path / "dist", "a.avif", "a.jpg", "a.webp", "b.jpg"),
    )
    pairs, left = pair_inputs(ref, [dist])
    assert pairs == [Pair(ref / "a.png", dist / f"a.{suffix}") for suffix in ("avif", "jpg", "webp")]
    assert left == [dist / "b.jpg"]


def test_two_references_of_one_stem(tmp_path):
    touch(tmp_path, "ref/a.png", "ref/a.jpg", "ref/b.jpg", "ref/b.png", "dist/a.png")
    with pytest.raises(PairingError) as caught:
        pair_inputs(tmp_path / "ref", [tmp_path / "dist"])
    assert str(tmp_path / "ref" / "a.png") in str(caught.value)
    assert str(tmp_path / "ref" / "a.jpg") in str(caught.value)
    # In different folders a stem may repeat, and what nothing is compared with may be there twice.
    (tmp_path / "ref" / "a.jpg").unlink()
    touch(tmp_path / "ref", "sub/a.jpg")
    pairs, left = pair_inputs(tmp_path / "ref", [tmp_path / "dist"])
    assert pairs == [Pair(tmp_path / "ref" / "a.png", tmp_path / "dist" / "a.png")]
    assert len(left) == 3


def test_pairing_errors(tmp_path):
    file = touch(tmp_path, "a.png") / "a.png"
    empty, notes, other = (
        tmp_path / "empty",
        touch(tmp_path / "notes", "x.txt"),
        touch(tmp_path / "o", "b.png"),
    )
    empty.mkdir()
    pictures = touch(tmp_path / "p", "a.png")
    cases = [
        (file, [], "no distorted picture is given"),
        (tmp_path / "gone.png", [file], r"gone\.png does not exist: check the path"),
        (file, [tmp_path / "gone.png"], r"gone\.png does not exist: check the path"),
        (file, [empty], "empty holds no pictures"),
        (file, [notes], "notes holds no pictures"),
        (empty, [pictures], "empty holds no pictures"),
        (pictures, [empty], "empty holds no pictures"),
        (pictures, [file], "is a folder: give exactly one folder"),
        (pictures, [other, other], "is a folder: give exactly one folder"),
        (pictures, [other], "no picture in .*o has the path inside the folder of one in .*p: --match name"),
    ]
    for ref, dist, message in cases:
        with pytest.raises(PairingError, match=message) as caught:
            pair_inputs(ref, dist)
        assert "\n" not in str(caught.value)


def test_dangling_link_in_a_folder(tmp_path):
    touch(tmp_path, "ref.png", "d/a.png")
    os.symlink(tmp_path / "gone.png", tmp_path / "d" / "link.png")
    pairs, _ = pair_inputs(tmp_path / "ref.png", [tmp_path / "d"])
    assert [pair.dist.name for pair in pairs] == ["a.png", "link.png"]


def test_linked_folders_are_searched_too_and_none_twice(tmp_path):
    touch(tmp_path, "real/deep/b.png", "d/a.png", "r/a.png", "r/sub/deep/b.png")
    os.symlink(tmp_path / "real", tmp_path / "d" / "sub")
    os.symlink(tmp_path / "d", tmp_path / "d" / "again")
    assert [path.relative_to(tmp_path).as_posix() for path in list_pictures([tmp_path / "d"])] == [
        "d/a.png",
        "d/sub/deep/b.png",
    ]
    pairs, left = pair_inputs(tmp_path / "r", [tmp_path / "d"])
    assert (len(pairs), left) == (2, [])


def test_csv(tmp_path):
    path = tmp_path / "sub" / "pairs.csv"
    path.parent.mkdir()
    text = '\ufeffid, Ref ,dist,mos\n1,a.png,"b, c.png",5\n\n,,,\n2,../x.png,/abs/y.png\n'
    path.write_text(text, encoding="utf-8")
    assert read_pairs_csv(path) == [
        Pair(path.parent / "a.png", path.parent / "b, c.png"),
        Pair(path.parent / "../x.png", Path("/abs/y.png")),
    ]
    path.write_bytes(b"dist,ref\r\nd.png,r.png\r\n")
    assert read_pairs_csv(str(path)) == [Pair(path.parent / "r.png", path.parent / "d.png")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty or lacks a header line: the columns ref,dist are needed"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\n", "is empty"),
        (b"reference,dist\na,b\n", "has the columns reference, dist, but ref and dist are needed"),
        (b"ref;dist\na;b\n", "has the columns ref;dist, but ref and dist are needed"),
        (b"a.png,b.png\n", r"has the columns a\.png, b\.png, but"),
        (b"ref,dist\n", "has a header but no rows"),
        (b"ref,dist\n,,\n", "has a header but no rows"),
        (b"ref,dist\na,b\na,\n", "no ref or no dist in line 3"),
        (b"ref,dist\na\n", "no ref or no dist in line 2"),
        (b"ref,dist\na,b, v2\n", "more values than columns in line 2: put names with commas between quotes"),
        (b"Ref,DIST,ref\na,b,c\n", "has the column ref twice: name each once"),
        (b"ref,dist\n\xff\xfe,b\n", "is not UTF-8 text"),
        ("ref,dist\na,b\n".encode("utf-16"), "is not UTF-8 text"),
        (b'ref,dist\n"' + b"a" * 200_000 + b'",b\n', "cannot be read"),
    ],
)
def test_csv_errors(tmp_path, content, message):
    path = tmp_path / "pairs.csv"
    path.write_bytes(content)
    with pytest.raises(PairingError, match=message) as caught:
        read_pairs_csv(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_csv_missing_or_folder(tmp_path):
    with pytest.raises(PairingError, match="does not exist: check the path"):
        read_pairs_csv(tmp_path / "gone.csv")
    with pytest.raises(PairingError, match="cannot be read"):
        read_pairs_csv(tmp_path)


# Single pictures


def test_files_and_folders_of_single_pictures(tmp_path):
    for name in ("in/b.png", "in/a.jpg", "in/sub/c.WEBP", "in/.hidden.png", "in/note.txt", "odd.dat"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    found = list_pictures([tmp_path / "odd.dat", tmp_path / "in", tmp_path / "in/b.png"])
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["odd.dat", "in/a.jpg", "in/b.png", "in/sub/c.WEBP", "in/b.png"]
    assert list_pictures([]) == []


def test_missing_inputs_and_folders_without_pictures_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, message in (("gone.png", "does not exist: check the path"), ("empty", "holds no pictures")):
        with pytest.raises(PairingError, match=message) as caught:
            list_pictures([tmp_path / name])
        assert str(tmp_path / name) in str(caught.value)


def test_pairs_from_a_pipe_start_where_the_program_runs(tmp_path):
    pipe = tmp_path / "folder" / "pipe"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(pipe.write_text, "ref,dist\na.png,b/c.jpg\n")
        assert read_pairs_csv(pipe) == [Pair(Path("a.png"), Path("b/c.jpg"))]
