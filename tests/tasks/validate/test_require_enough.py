"""What cannot be trained ends in one line, which says why most images cannot be used."""

import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.validate.params import ValidateParams
from tasks.validate.summary import Validated, require_enough
from tests.tasks.validate.rows import rows_of

POINTER = "a Git LFS pointer, not the file itself: run `git lfs pull` where it was cloned"


def refused(details: list[str | None]) -> str:
    """The line for images of one class; those with a detail are no images."""
    rows = rows_of(
        *((f"cat/{number}.jpg", str(number), "cat", None) for number in range(len(details)))
    )
    rows["detail"] = details
    bad = rows["detail"].notna()
    rows.loc[bad, ["status", "reason"]] = ["quarantined", "not_an_image"]
    rows.loc[~bad, "split"] = "train"
    validated = Validated(rows, pd.DataFrame(), pd.DataFrame(), [], "", [], 0)
    with pytest.raises(UserError) as caught:
        require_enough(validated, ValidateParams())
    return str(caught.value)


def test_pointers_in_place_of_all_images_are_one_line_that_says_what_to_run() -> None:
    assert refused(["an empty file", POINTER, POINTER]) == (
        "data/raw: needs usable images of at least 2 classes, found 0 (3 not_an_image; "
        f"cat/1.jpg for one: {POINTER})"
    )


def test_a_few_bad_files_do_not_explain_why_a_class_is_alone() -> None:
    assert refused([None, None, None, POINTER]) == (
        "data/raw: needs usable images of at least 2 classes, found 1, 'cat' (1 not_an_image)"
    )
