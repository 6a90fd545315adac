"""Train: a classifier from the training originals and their variants.

params    what the user decides                      model      the networks, by name
images    which images, as one array of one size     inference  logits from images
fit       the loop
"""

from pathlib import Path

WEIGHTS = Path("models/model.safetensors")
CARD = Path("models/model.json")
HISTORY = Path("plots/history.csv")
METRICS = Path("metrics/train.json")
