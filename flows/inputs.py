"""What commands make variants from: parameters, recipes and the validated images."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # `variegate --help` would take seconds with pandas
    import pandas as pd

    from tasks.variants.params import AugmentParams
    from tasks.variants.recipe import Recipes


class Inputs(NamedTuple):
    """What variants are made from: the parameters of augment, their recipes, the images."""

    params: "AugmentParams"
    recipes: "Recipes"
    validated: "pd.DataFrame"


def read_inputs() -> Inputs:
    from tasks.common.params import read_params
    from tasks.dataset.manifests import read_preprocessing, read_validated
    from tasks.dataset.selections import class_names
    from tasks.variants.label_checks import check_label_rules
    from tasks.variants.params import AugmentParams
    from tasks.variants.recipe import Recipes, check_policies

    params = read_params("augment", AugmentParams)
    check_policies(params)
    validated = read_validated()
    classes = class_names(validated)
    check_label_rules(params, classes)
    recipes = Recipes.from_params(params, read_preprocessing(), classes)
    return Inputs(params, recipes, validated)
