"""Paths of all that stages read and write, below the project's root; addresses of pages of it."""

from pathlib import Path
from urllib.parse import urlencode

RAW = Path("data/raw")
INGESTED = Path("data/ingested")
INGESTED_MANIFEST = INGESTED / "manifest.parquet"
INGEST_FINDINGS = INGESTED / "found.json"  # the layout, containers and label files

VALIDATED = Path("data/validated")
VALIDATED_MANIFEST = VALIDATED / "manifest.parquet"
VALIDATE_METRICS = Path("metrics/validate.json")
VALIDATE_REPORT = VALIDATED / "report.html"

AUGMENTED = Path("data/augmented")
LEDGER = AUGMENTED / "manifest.parquet"
SEGMENTS = AUGMENTED / "segments"
COUNTS = AUGMENTED / "counts.csv"
AUGMENT_METRICS = Path("metrics/augment.json")

WEIGHTS = Path("models/model.safetensors")
CARD = Path("models/model.json")
HISTORY = Path("plots/history.csv")
CURVES = Path("plots/training.svg")
TRAIN_METRICS = Path("metrics/train.json")
EXPOSURE = Path("models/exposure.csv")
EXPOSURE_METRICS = Path("metrics/exposure.json")

EVALUATE_METRICS = Path("metrics/evaluate.json")
BREAKDOWN = Path("metrics/breakdown.json")
CONFUSION = Path("plots/confusion.csv")
ROBUSTNESS = Path("plots/robustness.csv")
PREDICTIONS = Path("reports/predictions.csv")
REPORT = Path("reports/index.html")
DATA_REPORT = REPORT.with_name("data.html")  # what validate found, beside it
AUDIT_REPORT = REPORT.with_name("audit.html")
AUDIT_FINDINGS = AUDIT_REPORT.with_suffix(".json")  # what it shows, for programs
ABLATION_REPORT = REPORT.with_name("ablate.html")
TUNING_REPORT = REPORT.with_name("tune.html")
STUDY_REPORTS = {"audit": AUDIT_REPORT, "ablation": ABLATION_REPORT, "tuning": TUNING_REPORT}


# Addresses of the pages of `variegate ui`, below its own: they hold in whatever port it has.


def page_of_image(file_name: str) -> str:
    """The page of the image that has this name in the validated manifest."""
    return f"/image?{urlencode({'file': file_name})}"


def page_of_images(**filters: str) -> str:
    """The grid of the images, or with `kind="variant"` of the variants, that filters choose."""
    return f"/images?{urlencode(filters)}" if filters else "/images"


def page_of_variant(source_id: str, variant_id: str) -> str:
    """The page of a variant's source, at the variant."""
    return f"/image?{urlencode({'source': source_id})}#{variant_id}"


def page_of_class(label: str) -> str:
    """The page of a class."""
    return f"/class?{urlencode({'name': label})}"


def page_of_operation(name: str) -> str:
    """The page of an operation of the policy."""
    return f"/operation?{urlencode({'name': name})}"


CLASSES_PAGE = "/classes"
OPERATIONS_PAGE = "/operations"
VERSIONS_PAGE = "/versions"
REPORT_PAGE = "/"

# where reports lead to at their top: the same as the pages' own navigation
NAVIGATION = {
    "Images": page_of_images(),
    "Variants": page_of_images(kind="variant"),
    "Classes": CLASSES_PAGE,
    "Operations": OPERATIONS_PAGE,
    "Versions": VERSIONS_PAGE,
    "Report": REPORT_PAGE,
}

# by their names, for templates
PAGES = {
    page.__name__: page
    for page in (page_of_images, page_of_image, page_of_variant, page_of_class, page_of_operation)
}
