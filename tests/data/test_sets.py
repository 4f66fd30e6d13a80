"""Each published layout as a tiny made-up copy; the expected values are worked out by hand."""

import csv
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birqa.cli.data_sets import index_command, list_command
from birqa.data.sets import (
    DATA_SETS,
    Judgement,
    RatedPicture,
    check_leakage,
    read_data_set,
    split_unit,
    with_splits,
)
from birqa.data.sets.index import write_index
from birqa.data.sets.tables import Files, read_rows
from birqa.ratings import RatedPair, read_judgements, read_rated_pairs

savemat = pytest.importorskip("scipy.io").savemat


def pictures(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix.lower().removeprefix(".")
        Image.new("RGB", (8, 8), (len(name), 90, 30)).save(path, {"jpg": "jpeg"}.get(suffix, suffix))


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def cells(*names):
    """A MATLAB cell array of text, 1 x N."""
    array = np.empty((1, len(names)), object)
    array[0] = names
    return array


def by_dist(records, root):
    return {record.dist.relative_to(root).as_posix(): record for record in records}


# LIVE ------------------------------------------------------------------------------------


@pytest.fixture
def live(tmp_path):
    """Two references; in each folder a distorted picture of either, in jp2k an undistorted copy as well."""
    names = ["jp2k/img1.bmp", "jp2k/img2.bmp", "jp2k/img3.bmp"]
    names += [f"{kind}/img{place}.bmp" for kind in ("jpeg", "wn", "gblur", "fastfading") for place in (1, 2)]
    pictures(tmp_path, "refimgs/bikes.bmp", "refimgs/sailing1.bmp", *names)
    refs = ["bikes.bmp", "sailing1.bmp", "sailing1.bmp", *["bikes.bmp", "sailing1.bmp"] * 4]
    savemat(tmp_path / "refnames_all.mat", {"refnames_all": cells(*refs)})
    originals = np.array([[0, 1, 0, *[0] * 8]])
    dmos = np.array([[25.0, 0.0, 80.0, *range(10, 18)]])
    savemat(tmp_path / "dmos.mat", {"dmos": dmos, "orgs": originals})
    return tmp_path, dmos, originals


def test_live_numbers_the_pictures_of_all_folders_in_order_and_leaves_undistorted_copies_out(live):
    root, _, _ = live
    records = by_dist(read_data_set("live", root), root)
    assert len(records) == 10
    assert "jp2k/img2.bmp" not in records
    first, third = records["jp2k/img1.bmp"], records["jp2k/img3.bmp"]
    assert (first.ref.name, first.mos, first.type) == ("bikes.bmp", pytest.approx(0.75), "jp2k")
    assert (third.ref.name, third.mos) == ("sailing1.bmp", pytest.approx(0.2))
    assert math.isnan(first.std)
    last = records["fastfading/img2.bmp"]
    assert (last.ref.name, last.mos) == ("sailing1.bmp", pytest.approx(0.83))


def test_live_prefers_the_realigned_scores_and_lets_them_pass_the_ends(live):
    root, dmos, originals = live
    realigned = dmos.copy()
    realigned[0, 2] = 111
    savemat(
        root / "dmos_realigned.mat",
        {"dmos_new": realigned, "dmos_std": np.full_like(dmos, 7), "orgs": originals},
    )
    record = by_dist(read_data_set("live", root), root)["jp2k/img3.bmp"]
    assert (record.mos, record.std) == (pytest.approx(-0.11), pytest.approx(0.07))


def test_live_with_a_picture_too_few_is_refused_because_all_numbers_would_shift(live):
    root, _, _ = live
    (root / "jpeg" / "img2.bmp").unlink()
    with pytest.raises(ValueError, match=r"rates 11 pictures .* hold 10"):
        read_data_set("live", root)


def test_a_matlab_file_without_its_variable_or_damaged_is_named(live):
    root, dmos, _ = live
    savemat(root / "dmos.mat", {"dmos": dmos})
    with pytest.raises(ValueError, match=r"dmos\.mat lacks the variable orgs"):
        read_data_set("live", root)
    for damaged in (b"", bytes(512)):
        (root / "dmos.mat").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"dmos\.mat cannot be read"):
            read_data_set("live", root)
    (root / "dmos.mat").write_bytes(b"not MATLAB at all" * 20)
    with pytest.raises(ValueError, match=r"dmos\.mat cannot be read"):
        read_data_set("live", root)


# CSIQ ------------------------------------------------------------------------------------

CSIQ_ROWS = [("1600", "noise", 1, 0.061, 0.25), ("aerial_city", "jpeg 2000", 3, 0.1, 1)]


@pytest.fixture
def csiq(tmp_path):
    pictures(
        tmp_path,
        "src_imgs/1600.png",
        "src_imgs/aerial_city.png",
        "dst_imgs/awgn/1600.AWGN.1.png",
        "dst_imgs/jpeg2000/aerial_city.jpeg2000.3.png",
    )
    return tmp_path


def workbook(path):
    """The second sheet of two; its table starts in D4, the way the published one does, with notes around."""

    def cell(at, value):
        if isinstance(value, str):
            return f'<c r="{at}" t="s"><v>{strings.index(value)}</v></c>'
        return f'<c r="{at}"><v>{value}</v></c>'

    header = ["image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
    strings = ["note", *header, "noise", "jpeg 2000", "aerial_city"]
    # The picture 1600 is stored as a number.
    table = [header, [1600, 1, "noise", 1, 0.061, 0.25], ["aerial_city", 3, "jpeg 2000", 3, 0.1, 1]]
    rows = ['<row r="1">' + cell("A1", "note") + "</row>"]
    for line, values in enumerate(table, start=4):
        inner = "".join(
            cell(f"{letter}{line}", value) for letter, value in zip("DEFGHI", values, strict=True)
        )
        rows.append(f'<row r="{line}">{inner}{cell(f"K{line}", "note")}</row>')
    rows.append('<row r="8">' + cell("K8", "note") + "</row>")
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            '<sheet name="other" sheetId="1" r:id="rId1"/>'
            '<sheet name="all_by_image" sheetId="2" r:id="rId2"/></sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="rId1" Target="worksheets/sheet1.xml"/>'
            '<Relationship Id="rId2" Target="worksheets/sheet2.xml"/></Relationships>',
        )
        shared = "".join(f"<si><t>{one}</t></si>" for one in strings)
        book.writestr("xl/sharedStrings.xml", f'<sst xmlns="{main}">{shared}</sst>')
        for number, content in ((1, ""), (2, "".join(rows))):
            book.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{content}</sheetData></worksheet>',
            )


def test_csiq_is_read_from_the_published_workbook(csiq):
    workbook(csiq / "csiq.DMOS.xlsx")
    noise, jpeg2000 = read_data_set("csiq", csiq)
    assert (noise.ref.name, noise.dist.name) == ("1600.png", "1600.AWGN.1.png")
    assert (noise.mos, noise.std, noise.type, noise.level) == (0.75, 0.061, "awgn", "1")
    assert (jpeg2000.mos, jpeg2000.type, jpeg2000.level) == (0, "jpeg2000", "3")


def test_csiq_is_read_from_the_same_table_as_csv(csiq):
    rows = "".join(f"{image},{kind},{level},{std},{dmos}\n" for image, kind, level, std, dmos in CSIQ_ROWS)
    text(csiq / "csiq.DMOS.csv", "image,dst_type,dst_lev,dmos_std,dmos\n" + rows)
    assert [(record.mos, record.std) for record in read_data_set("csiq", csiq)] == [(0.75, 0.061), (0, 0.1)]


def test_csiq_is_read_from_the_label_file_with_all_pictures_in_one_folder(csiq):
    for folder in ("awgn", "jpeg2000"):
        for path in (csiq / "dst_imgs" / folder).iterdir():
            path.rename(csiq / "dst_imgs" / path.name)
    text(csiq / "csiq_label.txt", "1600.AWGN.1.png 0.25\naerial_city.jpeg2000.3.png 1.0\n")
    assert [record.mos for record in read_data_set("csiq", csiq)] == [0.75, 0]


def test_a_workbook_that_is_none_or_lacks_the_sheet_is_refused(csiq):
    text(csiq / "csiq.DMOS.xlsx", "no zip file")
    with pytest.raises(ValueError, match=r"not a readable \.xlsx file with the sheet all_by_image"):
        read_data_set("csiq", csiq)
    with zipfile.ZipFile(csiq / "csiq.DMOS.xlsx", "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(ValueError, match=r"not a readable \.xlsx file"):
        read_data_set("csiq", csiq)


# TID2013 and KADID-10k -------------------------------------------------------------------


@pytest.fixture
def tid(tmp_path):
    pictures(
        tmp_path,
        "reference_images/I01.BMP",
        "reference_images/i25.bmp",
        "distorted_images/i01_01_1.bmp",
        "distorted_images/I25_24_5.bmp",
    )
    text(tmp_path / "mos_with_names.txt", "5.51429 I01_01_1.bmp\n4.5 i25_24_5.bmp\n")
    text(tmp_path / "mos_std.txt", "0.18\n 0.9\n")
    return tmp_path


def test_tid2013_finds_its_files_in_any_case_of_letters(tid):
    first, second = read_data_set("tid2013", tid)
    assert (first.ref.name, first.dist.name) == ("I01.BMP", "i01_01_1.bmp")
    assert (first.mos, first.std) == (pytest.approx(5.51429 / 9), pytest.approx(0.02))
    assert (second.ref.name, second.dist.name) == ("i25.bmp", "I25_24_5.bmp")
    assert (second.mos, second.type, second.level) == (0.5, "24", "5")


def test_a_set_inside_an_outer_folder_is_found_too(tid, tmp_path_factory):
    outer = tmp_path_factory.mktemp("outer")
    tid.rename(outer / "tid2013")
    assert len(read_data_set("tid2013", outer)) == 2


def test_linked_folders_are_followed_but_not_in_circles(tid, tmp_path_factory):
    real = tmp_path_factory.mktemp("real") / "distorted_images"
    (tid / "distorted_images").rename(real)
    (tid / "distorted_images").symlink_to(real)
    (real / "again").symlink_to(tid)
    assert len(read_data_set("tid2013", tid)) == 2
    assert len(Files(tid).inside("reference_images", ".bmp")) == 2


def test_deviations_without_scores_are_refused(tid):
    text(tid / "mos_std.txt", "0.18\n")
    with pytest.raises(ValueError, match=r"mos_std\.txt has 1 lines"):
        read_data_set("tid2013", tid)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("5.5 I01_01_1.bmp\n4,5 i25_24_5.bmp\n", r"line 2: the score '4,5' is not a number"),
        ("5.5\n", "line 1: 2 values are needed, but it has 1"),
        ("5.5 I01.bmp\n", "line 1: 'I01.bmp' does not read like"),
        ("55 I01_01_1.bmp\n5 i25_24_5.bmp", r"TID2013: the score 55 is outside 0\.\.9"),
        ("", "holds no rows"),
    ],
)
def test_a_damaged_table_is_refused_with_its_place(tid, content, message):
    (tid / "mos_std.txt").unlink()
    text(tid / "mos_with_names.txt", content)
    with pytest.raises(ValueError, match=message):
        read_data_set("tid2013", tid)


@pytest.fixture
def kadid(tmp_path):
    """Ten references with two distorted pictures each."""
    lines = ["dist_img,ref_img,dmos,var"]
    for place in range(1, 11):
        ref = f"I{place:02d}"
        pictures(tmp_path, f"images/{ref}.png", f"images/{ref}_01_01.png", f"images/{ref}_25_05.png")
        lines += [f"{ref}_01_01.png,{ref}.png,4.5,0.5", f"{ref}_25_05.png,{ref}.png,1.0,0.0"]
    text(tmp_path / "dmos.csv", "\n".join(lines) + "\n")
    return tmp_path


def test_kadid_scores_are_better_when_larger_despite_their_name(kadid):
    slight, strong = read_data_set("kadid10k", kadid)[:2]
    assert (slight.mos, slight.std, slight.type, slight.level) == (0.875, 0.125, "1", "1")
    assert (strong.mos, strong.type, strong.level) == (0, "25", "5")


def test_where_no_split_is_published_references_are_split_six_two_two_and_never_divided(kadid):
    draws = set()
    for seed in range(10):
        split_of = {}
        for record in read_data_set("kadid10k", kadid, seed):
            assert split_of.setdefault(record.ref, record.split) == record.split
        assert sorted(split_of.values()) == ["test"] * 2 + ["train"] * 6 + ["val"] * 2
        draws.add(tuple(split_of.values()))
    assert len(draws) == 10
    assert read_data_set("kadid10k", kadid, 3) == read_data_set("kadid10k", kadid, 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [("I01_01_01.png,I01.png,4.5", "line 22"), ("a,b,1,1,1", "line 22"), ("x.png,I01.png,1,1", "line 22")],
)
def test_a_damaged_row_of_a_csv_is_named(kadid, row, message):
    with (kadid / "dmos.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(ValueError, match=message):
        read_data_set("kadid10k", kadid)


def test_a_table_without_a_needed_column_is_refused(kadid):
    text(kadid / "dmos.csv", "dist_img,ref_img,score\n")
    with pytest.raises(ValueError, match="missing: dmos, var"):
        read_data_set("kadid10k", kadid)


# PIPAL and PieAPP ------------------------------------------------------------------------


@pytest.fixture
def pipal(tmp_path):
    pictures(tmp_path, "Train_Ref/A0001.bmp", "Distortion_1/A0001_00_00.bmp", "Distortion_1/A0001_06_13.bmp")
    text(tmp_path / "Train_Label" / "A0001.txt", "A0001_00_00.bmp,1520.5\nA0001_06_13.bmp,1150\n")
    return tmp_path


def test_pipal_reads_elo_from_one_table_a_reference(pipal):
    first, second = read_data_set("pipal", pipal)
    assert (first.mos, first.type, first.level) == (pytest.approx(0.6205), "0", "0")
    assert (second.mos, second.type, second.level) == (0.25, "6", "13")


def test_what_was_unpacked_twice_or_on_a_mac_is_read_once(pipal):
    text(pipal / "again" / "Train_Label" / "A0001.txt", "A0001_00_00.bmp,1520.5\n")
    (pipal / "__MACOSX" / "Train_Label").mkdir(parents=True)
    (pipal / "__MACOSX" / "Train_Label" / "._A0001.txt").write_bytes(b"\x00\x05\x16\x07\xff")
    assert len(read_data_set("pipal", pipal)) == 2


def test_pipal_keeps_the_published_parts_where_the_validation_labels_are_there(pipal):
    pictures(pipal, "Val_Ref/A0000.bmp", "Val_Dist/A0000_10_00.bmp")
    text(pipal / "Val_Label" / "A0000.txt", "A0000_10_00.bmp,1400\n")
    records = read_data_set("pipal", pipal, seed=4)
    assert [(record.ref.name, record.split) for record in records] == [
        ("A0001.bmp", "train"),
        ("A0001.bmp", "train"),
        ("A0000.bmp", "val"),
    ]


def test_scores_of_another_scale_are_refused_even_where_the_scale_has_no_ends(pipal):
    text(pipal / "Train_Label" / "A0001.txt", "A0001_00_00.bmp,0.62\n")
    with pytest.raises(ValueError, match=r"the score 0\.62 is outside 900\.\.1900"):
        read_data_set("pipal", pipal)


@pytest.fixture
def pieapp(tmp_path):
    for split, ref in (("train", "ref_1"), ("val", "ref_2"), ("test", "ref_3")):
        text(tmp_path / f"{split}_reference_list.txt", f"{ref}.png\n")
        folder = f"distorted_images/{split}/{ref}"
        pictures(tmp_path, f"reference_images/{split}/{ref}.png", f"{folder}/a.png", f"{folder}/b.png")
    labels = tmp_path / "labels"
    header = (
        "ref. image, distorted image A, distorted image B, raw preference for A, processed preference for A\n"
    )
    text(
        labels / "train" / "ref_1_pairwise_labels.csv",
        header + "ref_1.png,a.png,b.png,0.5,0.75\nref_1.png,b.png,a.png,,0.25\nref_1.png,a.png,a.png,,\n",
    )
    text(labels / "val" / "ref_2_pairwise_labels.csv", header + "ref_2.png,a.png,b.png,0.1,\n")
    text(
        labels / "test" / "ref_3_pairwise_labels.csv",
        "ref. image, distorted image A, distorted image B, preference for A\nref_3.png,ref_3.png,b.png,1.0\n",
    )
    text(
        labels / "test" / "ref_3_per_image_score.csv",
        "ref. image, distorted image, score for distorted image\nref_3.png,a.png,2\nref_3.png,b.png,-0.4\n",
    )
    return tmp_path


def test_pieapp_scores_are_errors_of_the_test_part(pieapp):
    worse, better = read_data_set("pieapp", pieapp)
    assert (worse.mos, better.mos) == (0.75, pytest.approx(1.05))
    assert {worse.split, better.split} == {"test"}
    assert worse.dist == pieapp / "distorted_images" / "test" / "ref_3" / "a.png"


def test_pieapp_pairs_carry_the_share_that_prefers_the_right_picture(pieapp):
    records = read_data_set("pieapp-2afc", pieapp)
    found = [(one.split, one.left.name, one.right.name, one.prefers_right) for one in records]
    assert found == [
        ("train", "a.png", "b.png", 0.25),
        ("train", "b.png", "a.png", 0.75),
        ("val", "a.png", "b.png", pytest.approx(0.9)),
        ("test", "ref_3.png", "b.png", 0),
    ]
    assert records[-1].left == records[-1].ref


# BAPPS -----------------------------------------------------------------------------------


@pytest.fixture
def bapps(tmp_path):
    for subset, share in (("train/cnn", 1.0), ("val/superres", 0.2)):
        for kind in ("ref", "p0", "p1"):
            pictures(tmp_path, f"2afc/{subset}/{kind}/000000.png")
        (tmp_path / "2afc" / subset / "judge").mkdir()
        np.save(tmp_path / "2afc" / subset / "judge" / "000000.npy", np.array([share], np.float32))
    return tmp_path


def test_bapps_keeps_its_parts_and_gives_the_share_that_chose_p1(bapps):
    train, val = read_data_set("bapps", bapps)
    assert (train.split, train.type, train.prefers_right) == ("train", "cnn", 1)
    assert (val.split, val.type, val.prefers_right) == ("val", "superres", pytest.approx(0.2))
    assert [one.parent.name for one in (val.ref, val.left, val.right)] == ["ref", "p0", "p1"]
    assert read_data_set("bapps", bapps / "2afc") == [train, val]


@pytest.mark.parametrize("value", [np.array([1.5]), np.array([0.1, 0.2]), np.array([math.nan])])
def test_a_judgement_that_is_no_share_is_refused(bapps, value):
    np.save(bapps / "2afc" / "val" / "superres" / "judge" / "000000.npy", value)
    with pytest.raises(ValueError, match=r"000000\.npy does not hold one number in 0\.\.1"):
        read_data_set("bapps", bapps)


def test_a_pickled_judgement_is_never_opened(bapps):
    path = bapps / "2afc" / "val" / "superres" / "judge" / "000000.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="does not hold one number"):
        read_data_set("bapps", bapps)


def test_a_missing_patch_is_named(bapps):
    (bapps / "2afc" / "val" / "superres" / "p1" / "000000.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"superres lacks p1/000000\.png"):
        read_data_set("bapps", bapps)


# Without reference -----------------------------------------------------------------------

KONIQ_HEADER = "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,"


def test_koniq_keeps_the_published_sets(tmp_path):
    pictures(tmp_path, *(f"{size}/{name}.jpg" for size in ("512x384", "zip/1024x768") for name in "abc"))
    text(
        tmp_path / "koniq10k_distributions_sets.csv",
        KONIQ_HEADER + "set\na.jpg,0,0,0,1,0,105,77.5,0.5,training\nb.jpg,0,0,0,1,0,96,68,0.6,test\n"
        "c.jpg,0,0,0,1,0,96,0,0,validation\n",
    )
    first, second, third = read_data_set("koniq10k", tmp_path)
    # The deviation is one of grades 1..5: half a grade is an eighth of the scale.
    assert (first.mos, first.std, first.split) == (0.775, 0.125, "train")
    assert (second.split, third.split, third.mos) == ("test", "val", 0)
    assert first.image == tmp_path / "zip" / "1024x768" / "a.jpg"


def test_koniq_without_the_sets_reads_the_score_of_0_to_100_not_the_grade(tmp_path):
    pictures(tmp_path, "512x384/a.jpg")
    text(
        tmp_path / "koniq10k_scores_and_distributions.csv",
        KONIQ_HEADER + 'MOS_zscore\n"a.jpg",0,0,0,1,0,105,3.9,0.5,77.5\n',
    )
    assert read_data_set("koniq10k", tmp_path)[0].mos == 0.775


def test_live_in_the_wild_leaves_the_training_pictures_out_and_keeps_twins_together(tmp_path):
    names = ["t1.bmp", "246.bmp", "333.JPG", *(f"{place}.bmp" for place in range(1000, 1008))]
    pictures(tmp_path, "Images/trainingImages/t1.bmp", *(f"Images/{name}" for name in names[1:]))
    (tmp_path / "Data").mkdir()
    # The published names are a column, scores and deviations are rows.
    scores = np.linspace(0, 100, len(names))[None]
    for variable, value in (
        ("AllImages_release", cells(*names).T),
        ("AllMOS_release", scores),
        ("AllStdDev_release", np.full_like(scores, 20)),
    ):
        savemat(tmp_path / "Data" / f"{variable}.mat", {variable: value})
    for seed in range(10):
        records = {record.image.stem: record for record in read_data_set("live-itw", tmp_path, seed)}
        assert len(records) == 10
        assert records["246"].split == records["333"].split
    assert (records["246"].mos, records["246"].std) == (pytest.approx(0.1), pytest.approx(0.2))
    assert records["1007"].mos == 1


def test_live_in_the_wild_is_read_from_its_table_too(tmp_path):
    pictures(tmp_path, "images/t1.webp", "images/10.webp")
    text(
        tmp_path / "clive_mos.csv",
        "file,width,height,mos,std,is_training_image\nimages/t1.webp,8,8,64,18,1\nimages/10.webp,8,8,25,14,0\n",
    )
    (record,) = read_data_set("live-itw", tmp_path)
    assert (record.image.name, record.mos, record.std) == ("10.webp", 0.25, 0.14)


# Any CSV and meta_info tables ------------------------------------------------------------


def test_any_csv_keeps_its_scores_and_its_split(tmp_path):
    path = text(tmp_path / "own.csv", "ref,dist,mos,std,split\na,b,71,3.5,test\na,c,60,,test\n")
    first, second = read_data_set("csv", path)
    assert (first.mos, first.std, first.split) == (71, 3.5, "test")
    assert math.isnan(second.std)


@pytest.mark.parametrize("header", ["Ref,Dist,MOS,Split", "ref, dist, mos, split"])
def test_a_split_counts_however_its_column_is_written(tmp_path, header):
    rows = "".join(
        f"r{place}.png,d{place}.png,0.5,{'test' if place < 5 else 'train'}\n" for place in range(10)
    )
    records = read_data_set("csv", text(tmp_path / "own.csv", f"{header}\n{rows}"))
    assert [record.split for record in records] == ["test"] * 5 + ["train"] * 5


def test_any_csv_without_the_column_split_is_split_by_reference(tmp_path):
    rows = "".join(f"r{place}.png,d{place}_{copy}.png,0.5\n" for place in range(10) for copy in range(3))
    records = read_data_set("csv", text(tmp_path / "own.csv", "ref,dist,mos\n" + rows))
    splits = [record.split for record in records]
    assert [splits.count(split) for split in ("train", "val", "test")] == [18, 6, 6]


def test_a_deviation_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="line 2: std='wide' is not a number"):
        read_rated_pairs(text(tmp_path / "own.csv", "ref,dist,mos,std\na,b,1,wide\n"))


def test_meta_info_of_pairs_takes_the_direction_from_the_declaration(csiq):
    # Excerpt in the form of meta_info_CSIQDataset.csv.
    table = text(
        csiq / "meta_info_CSIQDataset.csv",
        "ref_name,dist_name,dmos,ratio622_seed123_split_01,ratio622_seed123_split_02\n"
        "1600.png,1600.AWGN.1.png,0.25,test,train\n"
        "aerial_city.png,aerial_city.jpeg2000.3.png,1.0,train,val\n",
    )
    records = read_data_set("csiq", csiq, seed=0, table=table)
    assert [(record.mos, record.split) for record in records] == [(0.75, "test"), (0, "train")]
    assert [one.split for one in read_data_set("csiq", csiq, seed=1, table=table)] == ["train", "val"]


def test_meta_info_of_pictures_takes_the_official_split(tmp_path):
    pictures(tmp_path, "512x384/a.jpg", "512x384/b.jpg")
    table = text(
        tmp_path / "meta.csv", "img_name,mos,std,official_split\na.jpg,80,0.5,test\nb.jpg,40,1,train\n"
    )
    first, second = read_data_set("koniq10k", tmp_path, table=table)
    # Deviations are on the five grades, of which 0..100 is made: half a grade is an eighth of the scale.
    assert (first.mos, first.std, first.split, second.split) == (0.8, 0.125, "test", "train")


def test_meta_info_numbers_its_parts_in_older_tables(tmp_path):
    pictures(tmp_path, "512x384/a.jpg", "512x384/b.jpg", "512x384/c.jpg")
    table = text(tmp_path / "meta.csv", "img_name,mos,std,split\na.jpg,80,10,0\nb.jpg,4,2,1\nc.jpg,4,2,2\n")
    records = read_data_set("koniq10k", tmp_path, table=table)
    assert [record.split for record in records] == ["train", "val", "test"]


def test_a_missing_meta_info_table_is_named(csiq):
    with pytest.raises(FileNotFoundError, match=r"no table none\.csv"):
        read_data_set("csiq", csiq, table=Path("none.csv"))


def test_meta_info_is_refused_for_sets_that_it_describes_in_other_columns(bapps):
    with pytest.raises(ValueError, match="read from its own files only"):
        read_data_set("bapps", bapps, table=bapps / "meta.csv")


def test_a_meta_info_table_without_scores_is_refused(csiq):
    table = text(csiq / "meta.csv", "ref_name,dist_name\n1600.png,1600.AWGN.1.png\n")
    with pytest.raises(ValueError, match="one of the columns mos, dmos, elo_score is needed"):
        read_data_set("csiq", csiq, table=table)


# Leakage ---------------------------------------------------------------------------------


def pair(ref, dist, split):
    return RatedPair(Path(ref), Path(dist), 0.5, split)


def test_a_reference_in_two_splits_is_leakage():
    check_leakage([pair("a", "a1", "train"), pair("a", "a2", "train"), pair("b", "b1", "test")])
    with pytest.raises(ValueError, match=r"a is in the splits train and test"):
        check_leakage([pair("a", "a1", "train"), pair("a", "a2", "test")])


def test_a_reference_under_another_path_is_leakage_too(tmp_path):
    pictures(tmp_path, "a.png", "deep/b.png")
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "a.png")
    roundabout = tmp_path / "deep" / ".." / "a.png"
    for other in (link, roundabout):
        with pytest.raises(ValueError, match=r"a\.png is in the splits train and val"):
            check_leakage([pair(tmp_path / "a.png", "1", "train"), pair(other, "2", "val")])


@pytest.mark.parametrize(
    "records",
    [
        [pair("a", "same", "train"), pair("b", "same", "test")],
        [pair("a", "b", "train"), pair("b", "c", "test")],
        [RatedPicture(Path("246"), 1, "train", unit="u"), RatedPicture(Path("333"), 1, "val", unit="u")],
        [Judgement(Path("r"), Path("1"), Path("2"), 1, s) for s in ("train", "val")],
    ],
)
def test_other_pictures_and_units_in_two_splits_are_leakage(records):
    with pytest.raises(ValueError, match="is in the splits"):
        check_leakage(records)


def test_leakage_in_a_table_is_refused_by_reader_and_writer(tmp_path):
    path = text(tmp_path / "own.csv", "ref,dist,mos,split\na,b,1,train\na,c,1,test\n")
    with pytest.raises(ValueError, match="is in the splits train and test"):
        read_data_set("csv", path)
    with pytest.raises(ValueError, match="is in the splits train and test"):
        write_index(read_rated_pairs(path), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("again", ["a,b,2", "a,b,1", "./a,x/../b,1"])
def test_a_pair_that_is_rated_twice_is_refused(tmp_path, again):
    path = text(tmp_path / "own.csv", f"ref,dist,mos\na,b,1\na,c,1\n{again}\n")
    with pytest.raises(ValueError, match=r"own\.csv has the pair .*a, .*b more than once: keep one row"):
        read_rated_pairs(path)


def test_choices_between_the_same_pictures_may_come_twice(tmp_path):
    path = text(tmp_path / "own.csv", "ref,left,right,prefers_right\n" + "a,b,c,0.5\n" * 2)
    assert len(read_judgements(path)) == 2


def test_a_stray_quote_in_a_large_table_of_a_set_is_refused_by_name(tmp_path):
    path = text(tmp_path / "dmos.csv", 'dist_img,ref_img,dmos,var\n"' + "a,b,1,1\n" * 20_000)
    with pytest.raises(ValueError, match=r"dmos\.csv is no readable CSV"):
        read_rows(path, ())


def test_a_table_with_a_split_for_some_rows_only_is_refused():
    with pytest.raises(ValueError, match="1 of 2 rows have no split"):
        with_splits([pair("a", "b", ""), pair("c", "d", "test")], 0)


def test_the_split_unit_is_the_reference_and_else_the_picture():
    assert split_unit(pair("/a/../r", "d", "")) == "/r"
    assert split_unit(RatedPicture(Path("/p"), 1, "")) == "/p"


# What is missing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data_set", [one for one in DATA_SETS if one.name != "csv"], ids=lambda one: one.name
)
def test_a_missing_folder_or_an_empty_one_says_in_one_line_where_to_get_what(data_set, tmp_path):
    for root in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError) as caught:
            read_data_set(data_set.name, root)
        message = str(caught.value)
        assert message.startswith(f"{data_set.title}: ")
        assert str(root) in message
        assert data_set.url in message
        assert data_set.layout in message
        assert "\n" not in message


def test_a_missing_picture_is_named(tid):
    (tid / "distorted_images" / "i01_01_1.bmp").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks distorted_images/I01_01_1\.bmp; get the set"):
        read_data_set("tid2013", tid)


def test_a_missing_csv_says_what_is_needed(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.csv; needed is: one CSV file"):
        read_data_set("csv", tmp_path / "none.csv")


def test_an_unknown_set_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"no data set 'tid2008': choose from live, csiq, .*csv\."):
        read_data_set("tid2008", tmp_path)


def test_declarations_are_complete():
    assert len({one.name for one in DATA_SETS}) == len(DATA_SETS)
    smaller = {one.name for one in DATA_SETS if not one.larger_is_better}
    assert smaller == {"live", "csiq", "pieapp"}
    for one in DATA_SETS:
        assert one.low < one.high
        better, worse = (one.high, one.low) if one.larger_is_better else (one.low, one.high)
        assert (one.quality(better), one.quality(worse)) == (1, 0)


# The index -------------------------------------------------------------------------------


def test_the_index_of_pairs_is_read_back_with_paths_relative_to_it(kadid, tmp_path_factory, capsys):
    out = tmp_path_factory.mktemp("elsewhere") / "meta.csv"
    index_command("kadid10k", kadid, out, seed=2)
    assert capsys.readouterr().out == f"{out}: 12 train, 4 val, 4 test; no reference is in two of these\n"
    with out.open(newline="") as file:
        header, first = list(csv.reader(file))[:2]
    assert header == ["ref", "dist", "mos", "std", "type", "level", "split"]
    assert not Path(first[0]).is_absolute()
    back = read_rated_pairs(out)
    expected = read_data_set("kadid10k", kadid, 2)
    assert [one.dist.resolve() for one in back] == [one.dist.resolve() for one in expected]
    assert [(one.mos, one.std, one.split) for one in back] == [
        (one.mos, one.std, one.split) for one in expected
    ]


def test_an_index_may_be_of_some_types_and_have_a_split_of_its_own(kadid, tmp_path):
    everything = tmp_path / "everything.csv"
    index_command("kadid10k", kadid, everything, seed=2)
    types = sorted({pair.type for pair in read_rated_pairs(everything)})
    kept, again = tmp_path / "kept.csv", tmp_path / "again.csv"
    index_command("csv", everything, kept, types=types[0])
    index_command("csv", everything, again, seed=3, types=types[0], redraw=True)
    old, new = read_rated_pairs(kept), read_rated_pairs(again)
    assert {pair.type for pair in old} == {pair.type for pair in new} == {types[0]}
    split_of = {pair.ref: pair.split for pair in read_rated_pairs(everything)}
    assert all(pair.split == split_of[pair.ref] for pair in old)
    assert {pair.ref: pair.split for pair in new} != {pair.ref: pair.split for pair in old}
    with pytest.raises(ValueError, match=f"has no rows of the type nothing: there are {types[0]}"):
        index_command("csv", everything, kept, types="nothing")


def test_the_index_of_judgements_and_of_pictures_has_their_columns(bapps, tmp_path):
    index_command("bapps", bapps, bapps / "meta.csv")
    with (bapps / "meta.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "ref": "2afc/val/superres/ref/000000.png",
        "left": "2afc/val/superres/p0/000000.png",
        "right": "2afc/val/superres/p1/000000.png",
        "prefers_right": "0.2",
        "type": "superres",
        "split": "val",
    }
    write_index([RatedPicture(tmp_path / "x.png", 0.5, "train")], tmp_path / "pictures.csv")
    assert (tmp_path / "pictures.csv").read_text() == "image,mos,std,split\nx.png,0.5,,train\n"


def test_the_index_keeps_weights_where_they_differ(tmp_path):
    rows = ["a.png,a1.png,0.5,2.5", "b.png,b1.png,0.25,"]
    (tmp_path / "in.csv").write_text("\n".join(["ref,dist,mos,weight", *rows]))
    write_index(read_rated_pairs(tmp_path / "in.csv"), tmp_path / "out.csv")
    assert [pair.weight for pair in read_rated_pairs(tmp_path / "out.csv")] == [2.5, 1.0]
    write_index(read_rated_pairs(tmp_path / "in.csv")[1:], tmp_path / "one.csv")
    assert "weight" not in (tmp_path / "one.csv").read_text()


def test_the_list_shows_every_set_and_which_are_there(tid, tmp_path_factory, capsys):
    root = tmp_path_factory.mktemp("sets")
    tid.rename(root / "tid2013")
    list_command(root)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {"name", *(one.name for one in DATA_SETS)}
    assert lines["tid2013"].endswith("yes")
    assert lines["live"].endswith("no")
    assert "0..9" in lines["tid2013"]
    assert "https://live.ece.utexas.edu/research/quality/subjective.htm" in lines["live"]
    list_command(None)
    assert "found" not in capsys.readouterr().out
