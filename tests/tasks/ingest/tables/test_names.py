import pytest

from tasks.ingest.tables.names import MatchNames, NameMatcher

PRESENT = ["images/1.JPG", "images/2.JPG", "images/1.txt", "shard.tar::cat/9.png"]
EVERY: tuple[MatchNames, ...] = ("ignore_case", "stem", "basename", "loose")


@pytest.mark.parametrize(
    ("written", "taken_by"),
    [
        ("images/1.JPG", ("exact", *EVERY)),
        ("./images/1.JPG", ("exact", *EVERY)),
        ("images\\1.JPG", ("exact", *EVERY)),
        ("images/1", ("stem", "loose")),
        ("images/1.png", ("stem", "loose")),
        ("images/1.jpg", ("ignore_case", "stem", "loose")),
        ("IMAGES/1.jpg", ("ignore_case", "loose")),
        ("1.JPG", ("basename", "loose")),
        ("/images/1.JPG", ("basename", "loose")),
        ("data/raw/images/1.JPG", ("basename", "loose")),
        ("/home/me/photos/1.JPG", ("basename", "loose")),
        ("C:\\me\\images\\1.JPG", ("basename", "loose")),
        ("1", ("loose",)),
        ("3", ()),
    ],
)
def test_what_takes_a_name(written: str, taken_by: tuple[MatchNames, ...]) -> None:
    for match in ("exact", *EVERY):
        found = NameMatcher(PRESENT, match).find("labels.csv", written)
        assert found == ("images/1.JPG" if match in taken_by else None), match


def test_names_count_from_the_tables_folder() -> None:
    assert NameMatcher(PRESENT).find("images/labels.csv", "1.JPG") == "images/1.JPG"
    assert NameMatcher(PRESENT).find("meta/labels.csv", "../images/1.JPG") == "images/1.JPG"
    assert NameMatcher(PRESENT).find("meta/labels.csv", "images/1.JPG") is None
    found = NameMatcher(PRESENT, "basename").find("meta/labels.csv", "images/1.JPG")
    assert found == "images/1.JPG"


def test_a_name_with_a_backslash_may_be_a_files_own() -> None:
    assert NameMatcher(["a\\1.png", "a/1.png"]).find("l.csv", "a\\1.png") == "a\\1.png"


def test_images_in_containers_are_found() -> None:
    assert NameMatcher(PRESENT).find("l.csv", "shard.tar::cat/9.png") == "shard.tar::cat/9.png"
    assert NameMatcher(PRESENT, "basename").find("l.csv", "cat/9.png") == "shard.tar::cat/9.png"


@pytest.mark.parametrize("match", EVERY)
def test_of_several_files_none_is_guessed(match: MatchNames) -> None:
    matcher = NameMatcher(["x/1.png", "x/1.jpg", "x/1.PNG", "y/1.png"], match)
    assert [matcher.find("l.csv", name) for name in ("x/1", "1.png", "X/1.png")] == [None] * 3
    near = matcher.near("l.csv", "x/1")
    assert near and near.files == ["x/1.PNG", "x/1.jpg", "x/1.png"]


def test_folders_that_end_alike_tell_files_of_one_name_apart() -> None:
    matcher = NameMatcher(["p/cat/1.jpg", "p/dog/1.jpg"], "loose")
    assert matcher.find("meta/train.txt", "cat/1") == "p/cat/1.jpg"
    assert matcher.find("meta/train.txt", "/home/me/p/dog/1.jpg") == "p/dog/1.jpg"
    assert matcher.find("meta/train.txt", "bird/1") is None


def test_a_file_that_is_missing_from_its_folder_is_not_looked_for_in_others() -> None:
    matcher = NameMatcher(["cat/1.jpg", "dog/7.jpg"], "loose")
    assert matcher.near("l.csv", "cat/7.jpg") is None
    assert matcher.near("l.csv", "Cat/7") is None


def test_dots_in_names_are_no_endings() -> None:
    matcher = NameMatcher(["v1.5.png", "a.0001.jpg"], "stem")
    assert matcher.find("l.csv", "v1.5") == "v1.5.png"
    assert matcher.find("l.csv", "a.0001") == "a.0001.jpg"
    assert matcher.find("l.csv", "a.0002") is None
