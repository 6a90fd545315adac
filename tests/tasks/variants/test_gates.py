"""Gates: what they refuse, in which order, and what is then done."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tasks.variants.fused.geometry import border
from tasks.variants.gates import Gate, gates_from
from tasks.variants.make import Variant, draw_variant, encode_variant, variant_seed
from tasks.variants.params import AugmentParams, Encoding
from tasks.variants.policy import canonical_json
from tasks.variants.quality.measures import Baseline, encoding_psnr
from tasks.variants.recipe import Recipe
from tasks.variants.sources import Source

SOURCE = Source("a.png", None, 1, "0" * 16, "0" * 64, "cat", "JPEG", 40, 30, 3, 8, 1)
PHOTO = Baseline(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
ROTATE = [{"Rotate": {"limit": 45, "border_mode": 0, "p": 1.0}}]


def recipe(gates: dict, policy: list | None = None, **changes: object) -> Recipe:
    settings = {"seed": 42, "encoding": Encoding(), "distinct": True, "max_attempts": 10, **changes}
    params = AugmentParams(variants_per_image=1, policy=[], gates=gates)
    chosen = gates_from(params.gates, "reject", "redraw")
    return Recipe(policy=canonical_json(policy or ROTATE), gates=chosen, **settings)


def draws(recipe: Recipe) -> list[Variant]:
    return [draw_variant(SOURCE, PHOTO, recipe, index, set()) for index in range(1, 41)]


@pytest.mark.parametrize(
    ("value", "excess"),
    [
        (0.25, None),
        (0.1, None),
        (None, None),
        (0.2501, "border 0.2501 > 0.25"),
        (0.31, "border 0.31 > 0.25"),
        (1.0, "border 1 > 0.25"),
        (0.0999, "border 0.0999 < 0.1"),
        (0.0, "border 0 < 0.1"),
    ],
)
def test_what_is_beyond_a_gate(value: float | None, excess: str | None) -> None:
    assert Gate("border", 0.1, 0.25, "redraw").excess(value) == excess


def test_those_that_reject_come_first_then_the_order_is_that_of_the_columns() -> None:
    gates = {
        "similarity": {"min": 0.5, "then": "reject"},
        "sharpness": {"min": 1, "max": 2},
        "border": {"max": 0.5},
        "kept": {"min": 0.5, "then": "warn"},
    }
    params = AugmentParams(variants_per_image=1, policy=[], gates=gates)
    assert gates_from(params.gates, "reject", "redraw") == (
        Gate("similarity", 0.5, math.inf, "reject"),
        Gate("border", -math.inf, 0.5, "redraw"),
        Gate("sharpness", 1, 2, "redraw"),
    )
    assert gates_from(params.gates, "warn") == (Gate("kept", 0.5, math.inf, "warn"),)


def test_what_does_not_pass_is_drawn_again_as_the_seed_says() -> None:
    free, gated = draws(recipe({})), draws(recipe({"border": {"max": 0.15}}))
    again = 0
    for index, (before, after) in enumerate(zip(free, gated, strict=True), start=1):
        assert after.measures.border <= 0.15 and after.reason is None
        assert after.seed == variant_seed(42, SOURCE.sha256, index, after.attempt)
        if before.measures.border <= 0.15:
            assert after.attempt == 0 and after.pixel_hash == before.pixel_hash
        else:
            again += 1
            assert after.attempt > 0
    assert 5 < again < 35


def test_the_last_attempt_says_by_how_much_it_does_not_pass() -> None:
    never = draws(recipe({"border": {"max": 0}}, max_attempts=3))
    for index, variant in enumerate(never, start=1):
        seed = variant_seed(42, SOURCE.sha256, index, 2)
        applied = recipe({}).build_policy().apply(PHOTO.pixels, seed)
        assert variant.pixels is None and (variant.attempt, variant.seed) == (2, seed)
        assert variant.reason == f"gate: border {round(border(applied.geometry), 4)} > 0"
    row, data = encode_variant(SOURCE, recipe({}), 1, never[0])
    assert data is None and row["status"] == "rejected" and "border" not in row


def test_a_gate_may_reject_at_once() -> None:
    free = draws(recipe({}))
    gated = draws(recipe({"border": {"max": 0.15, "then": "reject"}}))
    for before, after in zip(free, gated, strict=True):
        assert after.attempt == 0
        border = before.measures.border
        reason = f"gate: border {border:.4f}".rstrip("0").rstrip(".") + " > 0.15"
        assert after.reason == (reason if border > 0.15 else None)


def test_a_measure_that_is_not_known_passes() -> None:
    elastic = [{"ElasticTransform": {"alpha": 5, "sigma": 3, "p": 1.0}}]
    gates = {"border": {"max": 0}, "kept": {"min": 1}}
    variant = draw_variant(SOURCE, PHOTO, recipe(gates, elastic), 1, set())
    assert variant.attempt == 0 and variant.measures.border is None


def test_gates_that_only_warn_are_no_part_of_the_recipe() -> None:
    warns = {"border": {"max": 0.1, "then": "warn"}}
    assert recipe(warns).hash == recipe({}).hash
    hashes = {
        recipe(gates).hash
        for gates in (
            {},
            {"border": {"max": 0.1}},
            {"border": {"max": 0.2}},
            {"border": {"min": 0.1}},
            {"border": {"max": 0.1, "then": "reject"}},
            {"kept": {"max": 0.1}},
        )
    }
    assert len(hashes) == 6
    one, other = ({"border": {"max": 1}, "kept": {"min": 0}}, {"kept": {"min": 0.0}})
    assert recipe(one).hash == recipe({**other, "border": {"max": 1.0}}).hash


def test_without_gates_nothing_is_measured() -> None:
    variant = draw_variant(SOURCE, PHOTO, recipe({}), 1, set())
    assert not {"border", "sharpness", "similarity"} & vars(variant.measures).keys()
    gated = draw_variant(SOURCE, PHOTO, recipe({"border": {"max": 1}}), 1, set())
    assert "border" in vars(gated.measures) and "sharpness" not in vars(gated.measures)


def test_one_variant_in_16_has_the_psnr_of_what_is_stored() -> None:
    chosen = draw_variant(SOURCE, PHOTO, recipe({}), 1, set())
    for seed in (32, 33):
        variant = replace(chosen, seed=seed)
        row, data = encode_variant(SOURCE, recipe({}), 1, variant)
        expected = encoding_psnr(chosen.pixels, data) if seed == 32 else None
        assert row.get("encoding_psnr") == expected
        assert chosen.measures.all().items() <= row.items()
        png = recipe({}, encoding=Encoding(format="png"))
        assert "encoding_psnr" not in encode_variant(SOURCE, png, 1, variant)[0]
