"""Columns of the manifests: names, types and meaning; the splits, the reasons for quarantine."""

from typing import NamedTuple

import pyarrow as pa

from tasks.pixels.decode import MAX_PIXELS

INGESTED_COLUMNS = pa.schema(
    {
        # below data/raw, with / between its parts; in a container `shard.tar::name`
        "file_name": pa.string(),
        "label": pa.string(),  # null where nothing names one
        "split": pa.string(),  # train, validation, test; null where nothing names one
        "group_id": pa.string(),  # a split may not part a group; null: the image stands alone
        # what images of one WebDataset sample, or a photo and its mask, share; null: it is alone
        "sample": pa.string(),
        "container": pa.string(),  # the file that holds the image; null for a file of its own
        "offset": pa.int64(),  # of the image in its container
        "bytes": pa.int64(),
        "sha256": pa.string(),  # of the image's bytes; null where they cannot be read
        "reason": pa.string(),  # why it cannot be used (see tasks/validate), else null
        "detail": pa.string(),
    }
)
# Facts of a decoded image. A new one is a line here and its value in measure.measure_pixels().
MEASURED_COLUMNS = pa.schema(
    {
        "format": pa.string(),  # Pillow's name: JPEG, PNG, ...
        "width": pa.int32(),  # upright, in pixels
        "height": pa.int32(),
        "channels": pa.int8(),  # 1: grey, 3: RGB, as decoded
        "grey": pa.bool_(),  # whether it has no colours: one channel, or three that are equal
        "bits": pa.int8(),  # of a sample, 8 or 16
        "lowest": pa.int32(),  # smallest and largest sample, as deep as the file is: 0..65535
        "highest": pa.int32(),
        "brightness": pa.float32(),  # mean of the grey levels, 0..255
        "contrast": pa.float32(),  # their standard deviation
        "sharpness": pa.float32(),  # variance of their Laplacian
    }
)
VALIDATED_COLUMNS = pa.schema(
    [
        ("source_id", pa.string()),  # first 16 hex digits of sha256; unique among the ok rows
        ("sha256", pa.string()),  # of the file's bytes
        ("pixel_sha256", pa.string()),  # of the decoded pixels
        ("pixel_xxh3", pa.string()),  # of the same, 16 hex digits
        ("file_name", pa.string()),
        ("label", pa.string()),
        ("split", pa.string()),  # null unless status is ok
        ("group_id", pa.string()),  # a split may not part a group; null: the image stands alone
        # source_id of the first of the images that look the same; null: no other does
        ("cluster", pa.string()),
        ("container", pa.string()),  # the file that holds the image; null for a file of its own
        ("offset", pa.int64()),  # in the container
        ("bytes", pa.int64()),
        *MEASURED_COLUMNS,
        ("status", pa.string()),  # ok, duplicate or quarantined
        ("reason", pa.string()),  # of the quarantine, see REASONS; null unless quarantined
        ("detail", pa.string()),  # the decoder's own words
        ("duplicate_of", pa.string()),  # file_name
    ]
)
REASONS = {
    "unreadable": "the file cannot be read",
    "not_an_image": "no decoder knows the bytes",
    "corrupt": "the decoder failed on the bytes",
    "too_large": f"over {MAX_PIXELS:,} pixels, or a file over 1 GiB",
    "not_chosen": "params.yaml leaves it out (ingest.images)",
    "no_label": "nothing names its class: it lies outside any class folder, or in no table",
    "no_split": "nothing names its split, beside others that have one",
    "label_conflict": "the same pixels, or the same file in a table, have another label too",
    "leak": "it belongs together with an image of a split that training must not know "
    "(validate.on_leak)",
}
SPLITS = ("train", "validation", "test")
# What is measured of each variant, see tasks/variants/quality/measures.py; rounded to 4 decimals.
MEASURES = {
    "border": "share of its pixels that lie outside the source, whatever fills them",
    "kept": "share of the source that it still shows",
    "clipped_low": "share of its samples that are black, less that of the source",
    "clipped_high": "share of its samples that are white, less that of the source",
    "sharpness": "variance of the Laplacian over that of the source at the same scale",
    "contrast": "standard deviation of the grey levels over that of the source",
    "similarity": "correlation of its grey thumbnail with that of the source, moved alike",
    "encoding_psnr": "PSNR in dB of what is stored, of one variant in 16; null without loss",
}
LEDGER_COLUMNS = pa.schema(
    {
        "variant_id": pa.string(),
        "source_id": pa.string(),
        "label": pa.string(),  # what the image shows, see tasks/variants/relabelling.py
        "source_label": pa.string(),  # the class of its source, by which variants are counted
        "split": pa.string(),  # train: no other split is augmented
        "variant_index": pa.int32(),  # 0 is the source itself
        "seed": pa.uint64(),  # of the attempt that was kept, or of the last; 0 for index 0
        "attempt": pa.int32(),  # from 0; a redraw raises it
        "recipe_hash": pa.string(),
        "operations": pa.string(),  # JSON: name and applied parameters of each
        "sha256": pa.string(),  # of the encoded bytes
        "pixel_hash": pa.int64(),  # XXH3 of a variant's pixels before encoding; 0: it has none
        "width": pa.int32(),
        "height": pa.int32(),
        "channels": pa.int8(),  # 1: grey, 3: RGB
        # of a sample, 8 or 16: a variant has its source's where policy and format allow
        "bits": pa.int8(),
        "segment": pa.string(),  # file name below data/augmented/segments; null for index 0
        "offset": pa.int64(),  # of the image's first byte in the segment
        "length": pa.int64(),  # in bytes
        # what became of the image, see MEASURES; null for index 0, and where it is not known
        **dict.fromkeys(MEASURES, pa.float64()),
        "status": pa.string(),  # written, rejected
        "reason": pa.string(),  # of a rejected variant: one of REJECTIONS, `failed: ...`
    }
)


class Rejection(NamedTuple):
    """Why variants are rejected, and what helps: both for people."""

    meaning: str
    mend: str


# By kind, which is what the ledger's reason says before its first colon.
REJECTIONS = {
    "not_distinct": Rejection(
        "equal to their source or to another variant of it",
        "ask for fewer, or add a step to the policy: it makes no more different images of them",
    ),
    "one_colour": Rejection(
        "of one single colour, which their source is not",
        "make the holes or the crops of the policy smaller, or their p lower",
    ),
    "gate": Rejection(
        "beyond what augment.gates allows",
        "weaken the step of the policy that does it, or widen the gate",
    ),
    "failed": Rejection(
        "a step of the policy, or the encoding, failed on the image",
        "change the step in the policy, or leave it out",
    ),
    "equals_held_out": Rejection(
        "equal to an image of validation or test, which training must not see",
        "put both images into one group, or leave out the step that makes one the other",
    ),
    "equals_other_class": Rejection(
        "equal to an original of another class",
        "say in augment.labels which step to forbid for such classes, or what it makes of them",
    ),
}
