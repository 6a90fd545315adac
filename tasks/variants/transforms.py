"""Which of Albumentations' transforms a policy may use, why not others, which pixels they take."""

from itertools import chain

# By what they change in an image; docs/policies.md has the same kinds.
KINDS = {
    "geometry": (
        "Affine", "CenterCrop", "Crop", "CropAndPad", "D4", "ElasticTransform", "GridDistortion",
        "GridElasticDeform", "HorizontalFlip", "LongestMaxSize", "NoOp", "OpticalDistortion", "Pad",
        "PadIfNeeded", "Perspective", "PiecewiseAffine", "RandomCrop", "RandomCropFromBorders",
        "RandomGridShuffle", "RandomResizedCrop", "RandomRotate90", "RandomScale",
        "RandomSizedCrop", "Resize", "Rotate", "SafeRotate", "ShiftScaleRotate", "SmallestMaxSize",
        "SquareSymmetry", "ThinPlateSpline", "Transpose", "VerticalFlip",
    ),
    "light and colour": (
        "AutoContrast", "ChannelDropout", "ChannelShuffle", "ChromaticAberration", "CLAHE",
        "ColorJitter", "Equalize", "FancyPCA", "HEStain", "HueSaturationValue", "Illumination",
        "InvertImg", "PlanckianJitter", "PlasmaBrightnessContrast", "PlasmaShadow", "Posterize",
        "RandomBrightnessContrast", "RandomGamma", "RandomToneCurve", "RGBShift", "Solarize",
        "ToGray", "ToRGB", "ToSepia",
    ),
    "blur and noise": (
        "AdditiveNoise", "AdvancedBlur", "Blur", "Defocus", "Downscale", "Emboss", "GaussianBlur",
        "GaussNoise", "GlassBlur", "ImageCompression", "ISONoise", "MedianBlur", "Morphological",
        "MotionBlur", "MultiplicativeNoise", "RingingOvershoot", "SaltAndPepper", "Sharpen",
        "ShotNoise", "Superpixels", "UnsharpMask", "ZoomBlur",
    ),
    "occlusion and weather": (
        "CoarseDropout", "Erasing", "GridDropout", "PixelDropout", "RandomFog", "RandomGravel",
        "RandomRain", "RandomShadow", "RandomSnow", "RandomSunFlare", "Spatter", "XYMasking",
    ),
}  # fmt: skip
TRANSFORMS = tuple(chain.from_iterable(KINDS.values()))

# What D4 and SquareSymmetry do, by Albumentations' names of the symmetries of the square, in its
# order, with the step that does the same; "" where nothing is done.
ELEMENTS = {
    "e": "", "r90": "RandomRotate90", "r180": "RandomRotate90", "r270": "RandomRotate90",
    "v": "VerticalFlip", "hvt": "Transpose", "h": "HorizontalFlip", "t": "Transpose",
}  # fmt: skip
OF_ELEMENTS = ("D4", "SquareSymmetry")

# Why a transform of Albumentations is not among them, and what to do instead.
SCALES = (
    "training does that itself, with the mean and deviation that models/model.json keeps; "
    "variants are stored as images: leave it out"
)
TENSORS = "variants are stored as image files, and training makes the tensors: leave it out"
FUNCTION = (
    "a function cannot be written in params.yaml, so its variants could not be made again: "
    "use transforms that have a name"
)
OTHER_IMAGES = "it mixes in another image, and a variant is made of its source alone: leave it out"
ANNOTATIONS = "it needs boxes or masks, and the images have labels alone: use {instead}"
VOLUMES = "it is for volumes or sound, not for images: leave it out"
UNSUITABLE = {
    **dict.fromkeys(("Normalize", "ToFloat", "FromFloat"), SCALES),
    **dict.fromkeys(("ToTensorV2", "ToTensor3D", "ToTensor"), TENSORS),
    "Lambda": FUNCTION,
    **dict.fromkeys(
        ("FDA", "HistogramMatching", "MixUp", "CutMix", "Mosaic", "OverlayElements",
         "PixelDistributionAdaptation", "TextImage", "TemplateTransform"),
        OTHER_IMAGES,
    ),
    **dict.fromkeys(
        ("AtLeastOneBBoxRandomCrop", "BBoxSafeRandomCrop", "CropNonEmptyMaskIfExists",
         "RandomCropNearBBox", "RandomSizedBBoxSafeCrop"),
        ANNOTATIONS.format(instead="RandomResizedCrop"),
    ),
    **dict.fromkeys(
        ("ConstrainedCoarseDropout", "MaskDropout"), ANNOTATIONS.format(instead="CoarseDropout")
    ),
    **dict.fromkeys(
        ("CenterCrop3D", "CoarseDropout3D", "CubicSymmetry", "Pad3D", "PadIfNeeded3D",
         "RandomCrop3D", "FrequencyMasking", "TimeMasking", "TimeReverse"),
        VOLUMES,
    ),
}  # fmt: skip
# Names of torchvision and of older versions of Albumentations.
NAMED_NOW = {
    "RandomHorizontalFlip": "HorizontalFlip", "RandomVerticalFlip": "VerticalFlip",
    "Flip": "HorizontalFlip and VerticalFlip", "RandomRotation": "Rotate", "RandomAffine": "Affine",
    "RandomPerspective": "Perspective", "RandomErasing": "Erasing", "Cutout": "CoarseDropout",
    "GaussianNoise": "GaussNoise", "Grayscale": "ToGray", "RandomGrayscale": "ToGray",
    "RandomBrightness": "RandomBrightnessContrast", "RandomContrast": "RandomBrightnessContrast",
    "IAAAdditiveGaussianNoise": "AdditiveNoise", "JpegCompression": "ImageCompression",
    "RandomInvert": "InvertImg", "RandomPosterize": "Posterize", "RandomSolarize": "Solarize",
    "RandomAutocontrast": "AutoContrast", "RandomEqualize": "Equalize",
    "TrivialAugmentWide": "trivialaugment", "RandAugment": "randaugment",
    "AutoAugment": "autoaugment",
}  # fmt: skip

# Transforms that work on 16 bits as on 8; with any other in the policy, images get 8 bits.
TAKE_16_BITS = (
    "Affine", "CenterCrop", "Crop", "CropAndPad", "D4", "ElasticTransform", "GridDistortion",
    "HorizontalFlip", "NoOp", "OpticalDistortion", "Pad", "PadIfNeeded", "Perspective",
    "PiecewiseAffine", "RandomCrop", "RandomCropFromBorders", "RandomGridShuffle",
    "RandomResizedCrop", "RandomRotate90", "RandomScale", "RandomSizedCrop", "Resize", "Rotate",
    "SafeRotate", "ShiftScaleRotate", "SquareSymmetry", "ThinPlateSpline", "Transpose",
    "VerticalFlip", "ChannelShuffle", "InvertImg", "RandomBrightnessContrast", "ToGray",
    "AdvancedBlur", "Blur", "GaussianBlur", "MotionBlur", "CoarseDropout", "Erasing", "GridDropout",
    "XYMasking",
)  # fmt: skip
# Transforms that fail on a grey image; with any of these in the policy, images get RGB.
NEED_COLOUR = (
    "ChannelDropout", "ChromaticAberration", "HEStain", "ISONoise", "PlanckianJitter", "RandomFog",
    "RandomGravel", "RandomRain", "RandomSnow", "RandomSunFlare", "Spatter",
)  # fmt: skip
# Transforms that fill the first channel alone with a `fill` of one number, and draw one of several.
FILL_THE_FIRST_CHANNEL = (
    "ElasticTransform", "GridDistortion", "OpticalDistortion", "Perspective", "ThinPlateSpline",
)  # fmt: skip
FILL_WITH_ONE_OF = ("CropAndPad",)
