"""Identities: the values of arguments at which a step leaves an image as it is."""

MANY = 10**6  # so many leave an image as it is
# Values of arguments that leave an image as it is, where that is not 0.
IDENTITIES = {
    "AdvancedBlur": {"beta_limit": 1, "noise_limit": 1},
    "Affine": {"scale": 1},
    "ColorJitter": {"brightness": 1, "contrast": 1, "saturation": 1},
    "Downscale": {"scale_range": 1},
    "Erasing": {"ratio": 1},
    "HEStain": {"intensity_scale_range": 1},
    "ImageCompression": {"quality_range": 100},
    "MultiplicativeNoise": {"multiplier": 1},
    "PlanckianJitter": {"temperature_limit": 6500},
    "Posterize": {"num_bits": 8},
    "RandomGamma": {"gamma_limit": 100},
    "RandomResizedCrop": {"ratio": 1, "scale": 1},
    "RandomSizedCrop": {"min_max_height": MANY},
    "RingingOvershoot": {"cutoff": MANY},
    "Sharpen": {"lightness": 1},
    "Solarize": {"threshold_range": 1},
    "Spatter": {"cutout_threshold": 1},
    "Superpixels": {"n_segments": MANY},
    "ZoomBlur": {"max_factor": 1},
}


def identity_of(step: str, place: str) -> float:
    """The value of an argument that leaves an image as it is; `place`: as `scale` or `scale.x`."""
    return IDENTITIES.get(step, {}).get(place.partition(".")[0], 0)
