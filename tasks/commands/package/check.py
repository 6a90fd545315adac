"""Check this folder on this machine: model.onnx has to give the outputs that golden.npz holds.

`python check.py`, with onnxruntime and NumPy alone. Exit code 1 where it does not.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

TOLERANCE = 1e-3  # of a logit: another processor takes sums in another order


def main() -> None:
    """Run the model on the golden inputs and compare."""
    onnxruntime.disable_telemetry_events()
    folder = Path(__file__).parent
    golden = np.load(folder / "golden.npz")
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    )
    names = ["logits", "probabilities"]
    outputs = session.run(names, {"images": golden["images"]})
    worst = max(
        float(np.abs(found - golden[name]).max())
        for name, found in zip(names, outputs, strict=True)
    )
    same = int((outputs[0].argmax(axis=1) == golden["logits"].argmax(axis=1)).sum())
    total = len(golden["images"])
    print(f"{same} of {total} images get their class; outputs differ by up to {worst:.2g}")
    sys.exit(0 if same == total and worst <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
