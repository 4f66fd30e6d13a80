"""The page of many scores: what it says of whom, and that names cannot break it."""

import base64
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birqa.pairing import Pair
from birqa.report.page import THUMBNAIL, Row, Views, score_page, version_of


def views(pair):
    grey = np.full((300, 600, 3), 128, np.uint8)
    return Views(grey, grey, np.ones((300, 600), np.float32))


def page(rows, worst=0, show=views):
    return score_page(rows, "birqa.test 1", "engine onnx", worst, show)


def row(dist, score, ref="ref/x.png", **more):
    return Row(Pair(Path(ref), Path(dist)), score, **more)


def table_after(text, title):
    """Cells of the table below a heading."""
    rows = re.findall(r"<tr>(.*?)</tr>", text[text.index(title) :].split("</table>")[0])
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", one) for one in rows]


def test_all_scores_lowest_first_with_their_ranges():
    rows = [
        row("d/b.jpg", 0.8125, bits_per_pixel=1.25),
        row("d/a.jpg", 0.25, low=0.1, high=0.4),
        row("d/c.jpg", None, error="bad"),
    ]
    text = page(rows)
    assert "2 of 3 scored: mean 0.5312, median 0.5312, lowest 0.2500, highest 0.8125." in text
    assert table_after(text, "All, lowest first") == [
        ["score", "range", "bits per pixel", "distorted", "reference"],
        ["0.2500", "0.10 to 0.40", "", "d/a.jpg", "ref/x.png"],
        ["0.8125", "", "1.250", "d/b.jpg", "ref/x.png"],
    ]
    assert "<li>d/c.jpg: bad</li>" in text
    assert text == page(rows)


def test_every_score_stands_in_the_histogram():
    scores = np.random.default_rng(0).uniform(0, 1, 57)
    counts = re.findall(
        r"<title>(\S+) to (\S+): (\d+)</title>", page([row("a", float(one)) for one in (*scores, 0.0, 1.0)])
    )
    assert sum(int(count) for _, _, count in counts) == 59
    for low, high, count in counts:
        inside = np.sum((scores >= float(low)) & (scores < float(high)))
        assert int(count) == inside + (low == "0.00") + (high == "1.00")


def test_the_worst_are_shown_with_small_pictures():
    asked = []

    def show(pair):
        asked.append(pair.dist.name)
        return views(pair)

    text = page([row(f"{name}.png", score) for name, score in (("a", 0.9), ("b", 0.1), ("c", 0.5))], 2, show)
    assert asked == ["b.png", "c.png"]
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(pictures) == 6
    assert {Image.open(io.BytesIO(base64.b64decode(one))).size for one in pictures} == {
        (THUMBNAIL, THUMBNAIL // 2)
    }


@pytest.mark.parametrize(
    ("dist", "version"),
    [
        ("d/q30/x.jpg", "q30/*.jpg"),
        ("d/x_q30.jpg", "*_q30.jpg"),
        ("d/x/x_q30.jpg", "*_q30.jpg"),
        # Folders that the reference is in below that of all references say nothing of the version.
        ("d/scene/q30/x.jpg", "q30/*.jpg"),
        ("d/ref/q30/x.jpg", "ref/q30/*.jpg"),
        ("d/other.jpg", "other.jpg"),
    ],
)
def test_a_version_is_what_follows_the_references_name(dist, version):
    pair = Pair(Path("ref/scene/x.png"), Path(dist))
    assert version_of(pair, "d", "ref") == version.replace("/", os.sep)


def test_one_letter_in_two_forms_is_one_name():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert (
        version_of(Pair(Path(f"r/{composed}.png"), Path(f"d/{decomposed}_q10.jpg")), "d", "r") == "*_q10.jpg"
    )


def test_pictures_in_several_folders_make_one_version():
    rows = [
        row(f"d/q{quality}/{name}.jpg", score, ref=f"r/{name}.png")
        for name, quality, score in (("a", 10, 0.2), ("sub/b", 10, 0.4), ("a", 90, 0.9), ("sub/b", 90, 0.95))
    ]
    cells = table_after(page(rows), "By version")
    assert cells[0][0] == "mean"
    assert [line[-2:] for line in cells[1:]] == [["2", "q10/*.jpg"], ["2", "q90/*.jpg"]]


def test_a_stray_version_does_not_decide_what_the_others_are_compared_on():
    rows = [
        row(f"d/{name}_q{quality}.jpg", score, ref=f"r/{name}.png")
        for quality, scores in ((10, (0.2, 0.4, 0.6)), (90, (0.7, 0.8, 0.9)))
        for name, score in zip("abc", scores, strict=True)
    ]
    rows.append(row("d/a_rot.jpg", 0.1, ref="r/a.png"))
    title, *lines = table_after(page(rows), "By version")
    assert title[0] == "mean of the 3 that all have"
    assert [line[0] for line in lines] == ["", "0.4000", "0.8000"]


def test_means_of_versions_where_there_are_several_of_several_pictures():
    rows = [
        row(f"d/{name}_q{quality}.jpg", score, ref=f"r/{name}.png", bits_per_pixel=rate)
        for name, quality, score, rate in (
            ("a", 10, 0.2, 0.25),
            ("b", 10, 0.4, 0.5),
            ("a", 90, 0.9, 2.0),
            ("b", 90, 0.95, None),
        )
    ]
    assert table_after(page(rows), "By version") == [
        ["mean", "bits per pixel", "lowest", "pictures", "version"],
        ["0.3000", "0.375", "0.2000", "2", "*_q10.jpg"],
        ["0.9250", "", "0.9000", "2", "*_q90.jpg"],
    ]
    assert "By version" not in page(rows[:2])
    assert "By version" not in page(rows[::2])


def test_versions_that_lack_pictures_are_compared_on_those_that_all_have():
    rows = [
        row(f"d/{name}_q{quality}.jpg", score, ref=f"r/{name}.png", bits_per_pixel=rate)
        for name, quality, score, rate in (("a", 10, 0.6, 0.5), ("a", 90, 0.7, 2.0), ("b", 90, 0.1, 4.0))
    ]
    assert table_after(page(rows), "By version") == [
        [
            *("mean of the 1 that all have", "their bits per pixel"),
            *("mean", "bits per pixel", "lowest", "pictures", "version"),
        ],
        ["0.6000", "0.500", "0.6000", "0.500", "0.6000", "1", "*_q10.jpg"],
        ["0.7000", "2.000", "0.4000", "3.000", "0.1000", "2", "*_q90.jpg"],
    ]


def test_what_has_no_partner_stands_on_the_page():
    text = score_page([row("a.png", 0.5)], "birqa.test 1", "", 0, views, [Path("d/lonely.png")])
    assert "<li>d/lonely.png has no partner</li>" in text


def test_names_cannot_break_the_page():
    evil = "<script>alert('&')</script>.png"
    text = page(
        [row(evil, 0.5), row(evil, None, error=f"{evil} is bad"), row(os.fsdecode(b"\xff.png"), 0.6)], 1
    )
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(&#x27;&amp;&#x27;)") == 3
    assert text.encode("utf-8")


def test_nothing_scored():
    text = page([row("a.png", None, error="a.png is bad")], 3)
    assert "None of 1 scored" in text
    assert "<svg" not in text


def test_a_pair_that_cannot_be_shown_is_told_and_the_rest_goes_on():
    def show(pair):
        if pair.dist.name == "a.png":
            raise OSError("is gone")
        return views(pair)

    text = page([row("a.png", 0.1), row("b.png", 0.2)], 2, show)
    assert "a.png: is gone" in text
    assert text.count("<img") == 3
