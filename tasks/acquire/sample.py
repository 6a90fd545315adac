"""The bundled sample: scikit-learn's 1,797 handwritten digits as PNG files in class folders.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998. Images of 8 x 8 pixels.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from tasks.common.errors import UserError
from tasks.common.temporary import atomic_folder

SAMPLES = ("digits",)
# DVC's hash of the folder that write_sample() makes: a data/raw.dvc with it is the sample's.
DVC_HASH = {"digits": "8e3ce3857cb89e41374af35b73773814.dir"}


def write_sample(name: str, folder: Path) -> int:
    """Write the sample's images to `folder`/<label>/<label>_<number>.png: all of them or none.

    Returns:
        How many.

    Raises:
        UserError: for an unknown name, or where `folder` holds files already.
    """
    if name not in SAMPLES:
        raise UserError(f"sample {name!r}: not known; known: {', '.join(SAMPLES)}")
    from sklearn.datasets import load_digits  # takes a second: only where it is needed

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # 0..16 in the original
    with atomic_folder(folder, "a sample") as temporary:
        for number, (image, label) in enumerate(zip(pixels, digits.target, strict=True)):
            path = temporary / str(label) / f"{label}_{number:04d}.png"
            path.parent.mkdir(exist_ok=True)
            # Not compressed: zlib's variants compress differently, and these bytes are the same
            # everywhere.
            Image.fromarray(image).save(path, compress_level=0)
    return len(pixels)
