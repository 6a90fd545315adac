"""What transforms do to grey images: which leave them as they are, and which keep them grey.

A grey image has one channel, or three that are equal. Examples: HueSaturationValue without a shift
of the value changes no pixel of it, RGBShift gives it a colour, and Rotate leaves it grey. What is
said here was measured, and the tests measure it again for every transform that there is.
"""

from typing import Any

from tasks.variants.published_policies import PUBLISHED

# Transforms after which three equal channels are equal still, unless they draw or fill each channel
# by itself. Others, such as FancyPCA, may differ in the last bit.
KEEP_GREY = (
    "Affine", "CenterCrop", "Crop", "CropAndPad", "D4", "GridDistortion", "HorizontalFlip",
    "LongestMaxSize", "NoOp", "Pad", "PadIfNeeded", "Perspective", "RandomCrop",
    "RandomCropFromBorders", "RandomGridShuffle", "RandomResizedCrop", "RandomRotate90",
    "RandomScale", "RandomSizedCrop", "Resize", "Rotate", "SafeRotate", "ShiftScaleRotate",
    "SmallestMaxSize", "SquareSymmetry", "Transpose", "VerticalFlip", "ElasticTransform",
    "ChannelShuffle", "ColorJitter", "Equalize", "HueSaturationValue", "InvertImg",
    "RandomBrightnessContrast", "RandomGamma", "RandomToneCurve", "Solarize", "ToRGB",
    "AdvancedBlur", "Blur", "GaussianBlur", "ImageCompression", "MedianBlur", "MotionBlur",
    "SaltAndPepper", "Sharpen", "CoarseDropout", "Erasing", "GridDropout", "RandomShadow",
    "XYMasking", *PUBLISHED,
)  # fmt: skip
EXACT_GREY = ("weighted_average", "desaturation", "average", "max")  # methods of ToGray
CONDITIONS = {  # what it takes for a transform to change no pixel of a grey image
    "ChannelShuffle": lambda transform: True,
    "ColorJitter": lambda transform: transform.brightness == transform.contrast == (1, 1),
    "HueSaturationValue": lambda transform: transform.val_shift_limit == (0, 0),
    "ToGray": lambda transform: transform.method in EXACT_GREY,
    "ToRGB": lambda transform: True,
}
OF_ONE_CHANNEL = {"ToGray": True, "ToRGB": True, "ToSepia": True}  # whether they change nothing
COLOUR_ALONE = (*CONDITIONS, "ToSepia")  # transforms of colour, for some images or arguments


def leaves_as_it_is(transform: Any, grey: int) -> bool:
    """Whether a transform changes no pixel of a grey image, whatever it draws.

    `grey`: of how many equal channels the image is; 0 where it may have colours.
    """
    name = type(transform).__name__
    if grey == 1 and name in OF_ONE_CHANNEL:
        return OF_ONE_CHANNEL[name]
    return grey > 0 and name in CONDITIONS and CONDITIONS[name](transform)


def grey_after(transform: Any, grey: int) -> int:
    """The equal channels of an image after a transform; 0 where it may have colours."""
    name = type(transform).__name__
    if grey == 1:
        return 3 if name == "ToRGB" else 1
    if name == "ToGray":
        return transform.num_output_channels
    return grey if name in KEEP_GREY and not _colours_channels(transform) else 0


def _colours_channels(transform: Any) -> bool:
    """Whether a transform draws or fills each channel by itself."""
    fill = getattr(transform, "fill", 0)
    of_one_level = isinstance(fill, int | float) or (
        not isinstance(fill, str) and len(set(fill)) == 1
    )
    return not of_one_level or bool(getattr(transform, "per_channel", False))
