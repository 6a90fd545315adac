"""Train: a classifier from the training originals and their variants.

params    what the user decides                      model      the networks, by name
images    which images, as one array of one size     inference  logits from images
feed      what an epoch shows                        online     variants made when they are asked for
fit       the loop                                   exposure   what the model really saw
"""

from pathlib import Path

WEIGHTS = Path("models/model.safetensors")
CARD = Path("models/model.json")
HISTORY = Path("plots/history.csv")
METRICS = Path("metrics/train.json")
EXPOSURE = Path("models/exposure.csv")
EXPOSURE_METRICS = Path("metrics/exposure.json")
