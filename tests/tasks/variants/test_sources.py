"""Sources: which rows they are, and what of each row they carry."""

import pandas as pd
import pytest

from tasks.common.errors import UserError
from tasks.variants import sources
from tasks.variants.params import AugmentParams
from tasks.variants.recipe import Recipes
from tests.tasks.variants.test_recipe import ROTATE, recipe

ROWS = pd.DataFrame(
    {
        "source_id": [*"abcd"],
        "sha256": [*"ABCD"],
        "file_name": ["0.png", "1.png", "2.jpg", "3.png"],
        "label": ["cat", "cat", "dog", "dog"],
        "container": None,
        "offset": None,
        "bytes": [10, 11, 12, 13],
        "format": ["PNG", "PNG", "JPEG", "PNG"],
        "width": [5, 6, 7, 8],
        "height": [4, 5, 6, 7],
        "channels": [1, 3, 3, 3],
        "bits": [8, 8, 8, 16],
        "split": ["train", "test", "train", "train"],
        "status": ["ok", "ok", "ok", "duplicate"],
    }
)


def test_sources_are_the_usable_images_of_the_training_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = sources.training_sources(ROWS)
    assert rows.index.tolist() == [0, 2]
    monkeypatch.setattr(sources, "ROWS_AT_ONCE", 1)
    first, second = sources.to_sources(rows, pd.Series([3, 0], rows.index))
    assert first._asdict() == {
        "path": "data/raw/0.png", "offset": None, "length": 10, "source_id": "a", "sha256": "A",
        "label": "cat", "format": "PNG", "width": 5, "height": 4, "channels": 1, "bits": 8,
        "planned": 3,
    }  # fmt: skip
    assert (second.path, second.length, second.planned) == ("data/raw/2.jpg", 12, 0)


def test_two_sources_of_one_id_are_an_error() -> None:
    twins = ROWS.assign(source_id=["a", "b", "a", "b"])
    with pytest.raises(UserError) as caught:
        sources.training_sources(twins)
    assert str(caught.value) == (
        "data/validated/manifest.parquet: source_id needs to be unique, "
        "found one for 0.png and 2.jpg"
    )
    assert len(sources.training_sources(ROWS.assign(source_id=["a", "a", "c", "c"]))) == 2


def test_a_recipe_is_what_the_parameters_say() -> None:
    grey = recipe().preprocessing.model_copy(update={"preprocess": ["grey"]})
    made = {"seed": 7, "distinct": False, "max_attempts": 3}
    params = AugmentParams(policy=ROTATE, variants_per_image=1, encoding={"quality": 80}, **made)
    found = Recipes.from_params(params, grey).general
    assert found == recipe(encoding=params.encoding, preprocessing=grey, **made)
