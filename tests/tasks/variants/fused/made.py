"""What fused policies make of images of each kind, as hashes, which test_warp.py compares."""

import hashlib

import numpy as np

from tasks.variants.policy import Policy

SHRINKING = [
    "HorizontalFlip",
    {"Affine": {"rotate": [-20, 20], "scale": [0.5, 1.1], "p": 1.0}},
    {"Perspective": {"p": 1.0}},
    {"RandomResizedCrop": {"size": [40, 30]}},
]
POLICIES = [
    SHRINKING,
    [{"Affine": {"rotate": [-20, 20], "shear": [-9, 9], "interpolation": 2, "p": 1.0}}] * 2,
    [{"Affine": {"rotate": [9, 9], "scale": [0.04, 0.1], "interpolation": 2, "p": 1.0}}],
    [{"Rotate": {"interpolation": 4, "fill": 90, "p": 1.0}}, {"SafeRotate": {"interpolation": 4,
                                                               "fill": 90, "p": 1.0}}],
    [{"LongestMaxSize": {"max_size": 50}}, {"PadIfNeeded": {"min_height": 64, "min_width": 64}}],
    ["D4", {"Pad": {"padding": 9}}, {"Affine": {"rotate": 30, "interpolation": 0, "p": 1.0}}],
]  # fmt: skip


def made() -> list[str]:
    """The hashes of what each policy makes of images of each kind."""
    rows, columns = np.mgrid[:230, :260]
    grey = (rows * columns + 3 * columns) % 251 // 2 + columns // 7 % 60 + rows // 16 % 2 * 60
    colour = np.stack([grey, grey[::-1], 255 - grey[:, ::-1]], axis=-1)
    deep = grey * 256 + grey[::-1]
    images = [
        grey.astype(np.uint8),
        colour.astype(np.uint8),
        deep.astype(np.uint16),
        (colour * 256 + deep[:, :, None] % 256).astype(np.uint16),
    ]
    return [
        hashlib.md5(Policy(policy).apply(image, seed).pixels.tobytes()).hexdigest()
        for policy in POLICIES
        for image in images
        for seed in range(3)
    ]


if __name__ == "__main__":
    print(*made())
