"""Paths of everything that stages read and write, relative to the project's root."""

from pathlib import Path

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
ABLATION_REPORT = REPORT.with_name("ablate.html")
TUNING_REPORT = REPORT.with_name("tune.html")
STUDY_REPORTS = {"audit": AUDIT_REPORT, "ablation": ABLATION_REPORT, "tuning": TUNING_REPORT}
