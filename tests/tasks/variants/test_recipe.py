import pytest

from tasks.pixels.preprocess import Preprocessing
from tasks.variants.params import Encoding
from tasks.variants.policy import canonical_json
from tasks.variants.recipe import Recipe

ROTATE = [{"Rotate": {"limit": 20, "p": 1.0}}]


def recipe(policy: list | None = None, **changes: object) -> Recipe:
    settings = {"seed": 42, "encoding": Encoding(), "distinct": True, "max_attempts": 5, **changes}
    return Recipe(policy=canonical_json(ROTATE if policy is None else policy), **settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"policy": []},
        {"distinct": False},
        {"max_attempts": 6},
        {"encoding": Encoding(quality=90)},
        {"preprocessing": Preprocessing(range="image")},
        {"preprocessing": Preprocessing(preprocess=["grey"])},
    ],
)
def test_whatever_decides_bytes_changes_the_recipes_name(changes: dict) -> None:
    assert recipe(**changes).hash != recipe().hash
    assert recipe().hash == recipe().hash


def test_the_libraries_are_part_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe().hash
    monkeypatch.setattr("tasks.variants.recipe.library_versions", lambda: {"numpy": "0"})
    assert recipe().hash != before
