import math

import pytest

from birqa.ratings import RatedPair, RatedPicture, check_unit_range, read_rated_pairs, read_rated_pictures


@pytest.fixture
def table(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "ratings.csv"
        path.write_text(text, encoding=encoding)
        return path

    return write


def test_paths_are_relative_to_the_csv_and_the_split_defaults_to_train(table):
    path = table("split,mos,ref,dist\nVal,0.25,a.png,d/b.png\n,1,a.png,/x/c.png\n")
    folder = path.parent
    assert read_rated_pairs(path) == [
        RatedPair(folder / "a.png", folder / "d" / "b.png", 0.25, "val"),
        RatedPair(folder / "a.png", type(folder)("/x/c.png"), 1.0, "train"),
    ]


def test_the_byte_order_mark_of_a_spreadsheet_is_ignored(table):
    assert read_rated_pairs(table("ref,dist,mos\na,b,2\n", "utf-8-sig"))[0].mos == 2


@pytest.mark.parametrize(
    ("header", "named"), [("ref,dist", "mos"), ("reference,mos", "dist, ref"), ("", "dist, mos, ref")]
)
def test_missing_columns_are_named(table, header, named):
    with pytest.raises(ValueError, match=rf"ratings\.csv: .*missing: {named}\.$"):
        read_rated_pairs(table(header + "\n"))


@pytest.mark.parametrize(("rating", "shown"), [("good", "'good'"), ("", "''"), ("0.5.1", "'0.5.1'")])
def test_a_rating_that_is_no_number_is_refused_with_its_line(table, rating, shown):
    with pytest.raises(ValueError, match=f"line 3: mos={shown} is not a number"):
        read_rated_pairs(table(f"ref,dist,mos\na,b,1\na,c,{rating}\n"))


def test_a_row_that_ends_before_its_rating_is_refused_with_its_line(table):
    with pytest.raises(ValueError, match="line 2: it does not have one value for each column"):
        read_rated_pairs(table("ref,dist,mos\na,b\n"))


@pytest.mark.parametrize("rating", ["nan", "inf"])
def test_a_rating_that_is_not_finite_is_refused_with_its_line(table, rating):
    with pytest.raises(ValueError, match="line 2"):
        read_rated_pairs(table(f"ref,dist,mos\na,b,{rating}\n"))


@pytest.mark.parametrize("row", ["1,a", "1,,b", "1,a,"])
def test_a_row_without_a_picture_is_refused_with_its_line(table, row):
    with pytest.raises(ValueError, match="line 2"):
        read_rated_pairs(table(f"mos,ref,dist\n{row}\n"))


def test_a_row_with_too_many_fields_is_refused_with_its_line(table):
    with pytest.raises(ValueError, match="line 2"):
        read_rated_pairs(table("ref,dist,mos\na,b,0,5\n"))


def test_a_table_without_rows_is_refused(table):
    with pytest.raises(ValueError, match="holds no pairs"):
        read_rated_pairs(table("ref,dist,mos\n"))


def test_a_split_that_is_not_known_is_refused_instead_of_trained_on(table):
    with pytest.raises(ValueError, match=r"line 2: split='holdout' is not one of train, val, test"):
        read_rated_pairs(table("ref,dist,mos,split\na,b,0.5,holdout\n"))


# Pictures without references


def test_pictures_have_paths_relative_to_the_csv_and_are_for_training_unless_said(table):
    path = table("split,mos,image,std\nTest,0.25,a.png,0.1\n,1,d/b.png,\n", "utf-8-sig")
    pictures = read_rated_pictures(path)
    assert [(one.image, one.mos, one.split) for one in pictures] == [
        (path.parent / "a.png", 0.25, "test"),
        (path.parent / "d" / "b.png", 1.0, "train"),
    ]
    assert pictures[0].std == 0.1
    assert math.isnan(pictures[1].std)
    assert read_rated_pictures(table("image,mos\nx.png,0.5\n"))[0].split == "train"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image\na.png\n", "the columns image and mos are needed; missing: mos"),
        ("", "missing: image, mos"),
        ("image,mos\n", "holds no pictures"),
        ("image,mos\na.png,good\n", r"line 2: mos='good' is not a number"),
        ("image,mos\na.png,1\nb.png,\n", r"line 3: mos='' is not a number"),
        ("image,mos\na.png,nan\n", r"line 2: mos='nan' is not a number"),
        ("image,mos\n,1\n", "line 2: it does not have one value for each column"),
        ("image,mos\na.png,1,2\n", "line 2: it does not have one value for each column"),
        ("image,mos,split\na.png,1,holdout\n", r"line 2: split='holdout' is not one of train, val, test"),
        ("image,mos,std\na.png,1,wide\n", r"line 2: std='wide' is not a number of at least 0"),
        ("image,mos,std\na.png,1,-3\n", r"line 2: std='-3' is not a number of at least 0"),
        ("image,mos\na.png,1\nb/../a.png,2\n", "has the picture .*a.png more than once: keep one row"),
    ],
)
def test_tables_of_pictures_that_cannot_be_read_are_refused(table, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_rated_pictures(table(text))
    assert "ratings.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ratings_of_training_lie_on_the_scale_of_scores(tmp_path):
    def rated(*ratings):
        return [RatedPicture(tmp_path / "a.png", mos, "train") for mos in ratings]

    check_unit_range(rated(0, 0.5, 1))
    with pytest.raises(ValueError, match=r"2 ratings are outside 0\.\.1, for example 55: rescale them"):
        check_unit_range(rated(0.5, 55, -0.1))


def test_a_weight_says_how_often_a_reference_is_drawn(table):
    rows = read_rated_pairs(table("ref,dist,mos,weight\na,b,1,2.5\na,c,1,\n"))
    assert [row.weight for row in rows] == [2.5, 1.0]


@pytest.mark.parametrize("weight", ["0", "-1", "inf", "often"])
def test_a_weight_that_is_not_above_0_is_refused_with_its_line(table, weight):
    with pytest.raises(ValueError, match=f"line 2: weight='{weight}'"):
        read_rated_pairs(table(f"ref,dist,mos,weight\na,b,1,{weight}\n"))


def test_columns_of_ours_are_known_in_any_case_of_letters(table):
    (pair,) = read_rated_pairs(table("Ref, DIST,MOS, Split \na,b,0.5,val\n"))
    assert (pair.ref.name, pair.mos, pair.split) == ("a", 0.5, "val")


def test_a_column_that_is_there_twice_or_a_row_that_is_cut_off_is_refused(table):
    with pytest.raises(ValueError, match="the column 'mos' is there twice"):
        read_rated_pairs(table("ref,dist,mos,MOS\na,b,0.5,0.7\n"))
    with pytest.raises(ValueError, match="line 3: it does not have one value for each column"):
        read_rated_pairs(table("ref,dist,mos,split\na,b,0.5,val\na,c,0.7\n"))
    with pytest.raises(ValueError, match=r"line 4: mos='x' is not a number"):
        read_rated_pairs(table("ref,dist,mos\na,b,0.5\n\na,c,x\n"))


def test_blanks_after_commas_belong_to_no_name(table):
    (pair,) = read_rated_pairs(table("ref, dist, mos\na.png, b.png, 3\n"))
    assert (pair.ref.name, pair.dist.name, pair.mos) == ("a.png", "b.png", 3)


def test_semicolons_are_told(table):
    with pytest.raises(ValueError, match="separate them by commas"):
        read_rated_pairs(table("ref;dist;mos\na.png;b.png;3,5\n"))
