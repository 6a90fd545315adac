from pathlib import Path

import pytest

from tasks.common.errors import UserError
from tasks.common.params import read_params
from tasks.evaluate.params import EvaluateParams
from tasks.ingest.params import IngestParams
from tasks.train.params import TrainParams
from tasks.validate.params import ValidateParams
from tasks.variants.params import AugmentParams


def error_of(
    text: str, stage: str, model: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        read_params(stage, model)
    return str(caught.value)


LABEL_RULES = {
    "{classes: [6, 9], forbid: D4}": ".classes[0]: needs a text: write '6', in quotes",
    "{classes: 6, forbid: D4}": ".classes: needs names as texts, in quotes, found 6",
    "{classes: [], forbid: D4}": ".classes: needs at least one entry, found []",
    "{classes: a, forbid: []}": ".forbid: needs at least one entry, found []",
    "{classes: a}": ": needs forbid, bound or relabel beside classes, found none",
    "{forbid: D4}": ".classes: is missing",
    "{classes: a, forbid: D4, allow: D4}": ".allow: unknown key",
    "{classes: a, bound: {Rotate: 30}}": ".bound.Rotate: input should be a valid dictionary, "
    "found 30",
    "{classes: a, bound: {Rotate: {}}}": ".bound.Rotate: needs at least one entry, found {}",
    "{classes: a, relabel: {D4: {6: 9}}}": ".relabel.D4.6: needs a text: write '9', in quotes",
    "{classes: a, relabel: {D4: {}}}": ".relabel.D4: needs at least one entry, found {}",
}


@pytest.mark.parametrize(
    ("text", "stage", "model", "expected"),
    [
        (
            "augment: {variants_per_image: four, policy: []}",
            "augment",
            AugmentParams,
            "params.yaml augment.variants_per_image: input should be a valid integer, found 'four'",
        ),
        (
            "augment: {variants_per_image: -1, policy: []}",
            "augment",
            AugmentParams,
            "params.yaml augment.variants_per_image: input should be greater than or equal to 0, "
            "found -1",
        ),
        (
            "augment: {variants_per_image: 4}",
            "augment",
            AugmentParams,
            "params.yaml augment.policy: is missing",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], lint: {far_rotations: off}}",
            "augment",
            AugmentParams,
            "params.yaml augment.lint: unknown rule 'far_rotations'; known: blurred, clipped, "
            "colour_on_grey, compressed_twice, constant_border, constants_on_16_bits, depth_lost, "
            "does_nothing, far_rotation, flipped_symbols, jpeg_over_jpeg, large_holes, "
            "larger_than_image, lossy_encoding, low_similarity, meant_for_all, mostly_untouched, "
            "nearest_interpolation, nothing_left, partly_relabelled, pixels_of_larger_images, "
            "relabelled_targets, repeated_resampling, small_crop, tone_before_border, "
            "too_many_variants",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], lint: {far_rotation: stop}}",
            "augment",
            AugmentParams,
            "params.yaml augment.lint.far_rotation: input should be 'warn', 'fail' or 'off', "
            "found 'stop'",
        ),
        (
            "augment: {policy: []}",
            "augment",
            AugmentParams,
            "params.yaml augment: needs one of variants_per_image, total, target_per_class, "
            "found none",
        ),
        (
            "augment: {total: 9, variants_per_image: 1, policy: []}",
            "augment",
            AugmentParams,
            "params.yaml augment: needs one of variants_per_image, total, target_per_class, "
            "found variants_per_image and total",
        ),
        (
            "augment: {variants_per_image: 4, max_per_image: 3, policy: []}",
            "augment",
            AugmentParams,
            "params.yaml augment: variants_per_image is 4, over max_per_image 3",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], per_class: {cat: {}}}",
            "augment",
            AugmentParams,
            "params.yaml augment.per_class.cat: needs variants_per_image, target_per_class "
            "or policy",
        ),
        *(
            (
                f"augment: {{variants_per_image: 4, policy: [], labels: [{rule}]}}",
                "augment",
                AugmentParams,
                f"params.yaml augment.labels[0]{message}",
            )
            for rule, message in LABEL_RULES.items()
        ),
        (
            "augment: {variants_per_image: 4, at_least: true, policy: []}",
            "augment",
            AugmentParams,
            "params.yaml augment: at_least needs a number as target_per_class, "
            "found variants_per_image",
        ),
        (
            "augment: {total: 4, at_least: true, policy: []}",
            "augment",
            AugmentParams,
            "params.yaml augment: at_least needs a number as target_per_class, found total",
        ),
        (
            "augment: {target_per_class: max, at_least: true, policy: []}",
            "augment",
            AugmentParams,
            "params.yaml augment: at_least needs a number as target_per_class, "
            "found target_per_class: max",
        ),
        (
            "augment: {policy: [], per_class: {6: {variants_per_image: 1, at_least: true}}}",
            "augment",
            AugmentParams,
            "params.yaml augment.per_class.6: at_least needs target_per_class beside it, "
            "found variants_per_image",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], encoding: {format: gif}}",
            "augment",
            AugmentParams,
            "params.yaml augment.encoding.format: input should be 'auto', found 'gif'",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], gates: {bordr: {max: 0.1}}}",
            "augment",
            AugmentParams,
            "params.yaml augment.gates: unknown measure 'bordr'; known: border, kept, "
            "clipped_low, clipped_high, sharpness, contrast, similarity",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], gates: {encoding_psnr: {min: 30}}}",
            "augment",
            AugmentParams,
            "params.yaml augment.gates: encoding_psnr is measured of one variant in 16 alone, "
            "after it was kept: no gate can be on it",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], gates: {border: {then: warn}}}",
            "augment",
            AugmentParams,
            "params.yaml augment.gates.border: needs min, max or both, found neither",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], gates: {kept: {min: 0.5, max: 0.25}}}",
            "augment",
            AugmentParams,
            "params.yaml augment.gates.kept: needs a min up to max, found 0.5 and 0.25",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], gates: {border: {max: 25}}}",
            "augment",
            AugmentParams,
            "params.yaml augment.gates: border.max needs a number from 0 to 1, found 25",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], gates: {sharpness: {min: -1}}}",
            "augment",
            AugmentParams,
            "params.yaml augment.gates: sharpness.min needs a number of 0 or more, found -1",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], gates: {border: 0.25}}",
            "augment",
            AugmentParams,
            "params.yaml augment.gates.border: needs min, max or both, as {max: 0.25}, found 0.25",
        ),
        (
            "augment: {variants_per_image: 4, policy: [], gates: {border: {max: 0.2, then: stop}}}",
            "augment",
            AugmentParams,
            "params.yaml augment.gates.border.then: input should be 'redraw', 'reject' or 'warn', "
            "found 'stop'",
        ),
        (
            "ingest: {layuot: auto}",
            "ingest",
            IngestParams,
            "params.yaml ingest.layuot: unknown key; known: range, preprocess, layout, "
            "label_from, group_pattern, images, match_names, file_column, label_column",
        ),
        (
            "ingest: {match_names: fuzzy}",
            "ingest",
            IngestParams,
            "params.yaml ingest.match_names: input should be 'exact', 'ignore_case', 'stem', "
            "'basename' or 'loose', found 'fuzzy'",
        ),
        (
            "ingest: {label_column: 0}",
            "ingest",
            IngestParams,
            "params.yaml ingest.label_column: needs a column's name, in quotes where it is no "
            "word, or its number from 1, found 0",
        ),
        (
            "ingest: {file_column: true}",
            "ingest",
            IngestParams,
            "params.yaml ingest.file_column: needs a column's name, in quotes where it is no "
            "word, or its number from 1, found True",
        ),
        (
            "validate: {train: 0.5}",
            "validate",
            ValidateParams,
            "params.yaml validate: train, validation and test need to add up to 1, found 0.8",
        ),
        (
            "train: {epochs: 0}",
            "train",
            TrainParams,
            "params.yaml train.epochs: input should be greater than or equal to 1, found 0",
        ),
        (
            "train: {devices: 0}",
            "train",
            TrainParams,
            "params.yaml train.devices: input should be greater than or equal to 1, found 0",
        ),
        (
            "train: {devices: 5, batch_size: 4}",
            "train",
            TrainParams,
            "params.yaml train: devices needs at most the images of a batch, 4, found 5",
        ),
        (
            "train: {image_size: 65}",
            "train",
            TrainParams,
            "params.yaml train: image_size: small_cnn takes 8 to 64 pixels, found 65",
        ),
        (
            "train: {freeze: backbone}",
            "train",
            TrainParams,
            "params.yaml train: freeze: backbone needs pretrained weights: `weights: default` or a "
            "file, found weights: none",
        ),
        (
            "train: {fit: stretch}",
            "train",
            TrainParams,
            "params.yaml train.fit: input should be 'squeeze', 'pad' or 'crop', found 'stretch'",
        ),
        (
            "train: {schedule: step}",
            "train",
            TrainParams,
            "params.yaml train.schedule: input should be 'one_cycle', 'cosine' or 'constant', "
            "found 'step'",
        ),
        (
            "train: {warmup_epochs: 2}",
            "train",
            TrainParams,
            "params.yaml train: warmup_epochs: schedule one_cycle warms up by itself; needs "
            "schedule: cosine or constant",
        ),
        (
            "train: {schedule: cosine, warmup_epochs: 4, epochs: 4}",
            "train",
            TrainParams,
            "params.yaml train: warmup_epochs needs less than the 4 epochs, found 4",
        ),
        (
            "train: {weights: default, freeze: backbone, dropout: 0.2}",
            "train",
            TrainParams,
            "params.yaml train: dropout has no effect with freeze: backbone, which drops nothing; "
            "needs dropout: none or freeze: none, found 0.2",
        ),
        (
            "train: {ema: 1}",
            "train",
            TrainParams,
            "params.yaml train.ema: input should be less than 1, found 1",
        ),
        (
            "train: {clip_norm: 0}",
            "train",
            TrainParams,
            "params.yaml train.clip_norm: input should be greater than 0, found 0",
        ),
        (
            "train: {dropout: half}",
            "train",
            TrainParams,
            "params.yaml train.dropout: input should be a valid number, found 'half'",
        ),
        (
            "train: {balance: loss}",
            "train",
            TrainParams,
            "params.yaml train.balance: input should be 'none', 'weights' or 'sampler', "
            "found 'loss'",
        ),
        (
            "train: {patience: 0}",
            "train",
            TrainParams,
            "params.yaml train.patience: input should be greater than or equal to 1, found 0",
        ),
        (
            "evaluate: {gate: {min_accuracy: 97}}",
            "evaluate",
            EvaluateParams,
            "params.yaml evaluate.gate.min_accuracy: input should be less than or equal to 1, "
            "found 97",
        ),
        (
            "evaluate: {robustness_images: -1}",
            "evaluate",
            EvaluateParams,
            "params.yaml evaluate.robustness_images: input should be greater than or equal to 0, "
            "found -1",
        ),
        (
            "agument: {}",
            "augment",
            AugmentParams,
            "params.yaml agument: unknown block; known: ingest, validate, augment, train, evaluate",
        ),
        ("train: 3", "train", TrainParams, "params.yaml train: needs keys and values, found 3"),
        ("- 1", "train", TrainParams, "params.yaml: needs a block for each stage, found list"),
        (
            "train:\n  epochs: [1",
            "train",
            TrainParams,
            "params.yaml line 3: not valid YAML: did not find expected ',' or ']'",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(
    text: str,
    stage: str,
    model: type,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert error_of(text, stage, model, tmp_path, monkeypatch) == expected


def test_without_params_the_place_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=f"params.yaml: not found in {tmp_path}; run this from the project's root"
    ):
        read_params("train", TrainParams)


def test_a_missing_block_means_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("train: {epochs: 3}")
    assert read_params("validate", ValidateParams) == ValidateParams()
    assert read_params("train", TrainParams).epochs == 3


def test_none_can_be_written_as_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("train: {clip_norm: none, dropout: none, patience: none}")
    assert read_params("train", TrainParams) == TrainParams()
