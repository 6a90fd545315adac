"""What a few variants look like: means over them, against bounds."""

from tasks.lint.sample_rules import Sampled, jpeg_over_jpeg, low_similarity
from tasks.variants.params import Encoding
from tasks.variants.recipe import ClassPolicy

POLICY = ClassPolicy(
    ["Solarize", {"Blur": {"p": 0}}, "InvertImg"], "params.yaml augment.policy", None
)


def test_variants_that_look_like_other_images() -> None:
    samples = [Sampled(0.5, None), Sampled(0.3, None), Sampled(None, None)]
    [finding] = low_similarity(POLICY, samples)
    assert finding.text == (
        "params.yaml augment.policy: Solarize, InvertImg: of 2 variants made as a sample, the mean "
        "similarity to their sources is 0.40, where 1 is equal and 0 another image; weaken the "
        "strongest of them, or put them into one OneOf: {transforms: [...]} (lint: low_similarity)"
    )
    assert low_similarity(POLICY, [Sampled(0.6, None), Sampled(0.4, None)]) == []
    assert low_similarity(POLICY, [Sampled(None, None)]) == low_similarity(POLICY, []) == []


def test_a_published_policy_is_as_strong_as_it_is_meant_to_be() -> None:
    samples = [Sampled(0.3, None)]
    published = POLICY._replace(steps=["autoaugment"])
    assert low_similarity(published, samples) == []
    more = POLICY._replace(steps=["autoaugment", "Solarize"])
    assert len(low_similarity(more, samples)) == 1


def test_jpeg_of_jpeg_with_what_it_leaves() -> None:
    text = (
        "params.yaml augment.encoding: variants of JPEG files are compressed again at quality {}, "
        "which leaves {} dB (mean PSNR of 2 made as a sample); set {} (lint: jpeg_over_jpeg)"
    )
    good, bad = [Sampled(1, 40.0), Sampled(1, 42.0)], [Sampled(1, 30.0), Sampled(1, 31.0)]
    for samples, quality, shown, instead in (
        (bad, 80, "30.5", "quality: 95"), (good, 89, "41.0", "quality: 95"),
        (bad, 96, "30.5", "format: png"),
    ):  # fmt: skip
        [finding] = jpeg_over_jpeg(samples, Encoding(quality=quality))
        assert finding.text == text.format(quality, shown, instead)
    assert jpeg_over_jpeg(good, Encoding(quality=90)) == []
    assert jpeg_over_jpeg([Sampled(1, None)], Encoding(quality=9)) == []
