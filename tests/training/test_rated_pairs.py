import pytest

from birqa.ratings import RatedPair, read_rated_pairs


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
    with pytest.raises(ValueError, match="line 2: mos=None is not a number"):
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
