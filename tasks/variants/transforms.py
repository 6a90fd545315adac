"""Which of Albumentations' transforms a policy may use, and which pixels they take."""

TRANSFORMS = (
    # geometry
    "Affine", "CenterCrop", "Crop", "CropAndPad", "D4", "ElasticTransform", "GridDistortion",
    "GridElasticDeform", "HorizontalFlip", "LongestMaxSize", "NoOp", "OpticalDistortion", "Pad",
    "PadIfNeeded", "Perspective", "PiecewiseAffine", "RandomCrop", "RandomCropFromBorders",
    "RandomGridShuffle", "RandomResizedCrop", "RandomRotate90", "RandomScale", "RandomSizedCrop",
    "Resize", "Rotate", "SafeRotate", "ShiftScaleRotate", "SmallestMaxSize", "SquareSymmetry",
    "ThinPlateSpline", "Transpose", "VerticalFlip",
    # light and colour
    "AutoContrast", "ChannelDropout", "ChannelShuffle", "ChromaticAberration", "CLAHE",
    "ColorJitter", "Equalize", "FancyPCA", "HEStain", "HueSaturationValue", "Illumination",
    "InvertImg", "PlanckianJitter", "PlasmaBrightnessContrast", "PlasmaShadow", "Posterize",
    "RandomBrightnessContrast", "RandomGamma", "RandomToneCurve", "RGBShift", "Solarize", "ToGray",
    "ToRGB", "ToSepia",
    # blur and noise
    "AdditiveNoise", "AdvancedBlur", "Blur", "Defocus", "Downscale", "Emboss", "GaussianBlur",
    "GaussNoise", "GlassBlur", "ImageCompression", "ISONoise", "MedianBlur", "Morphological",
    "MotionBlur", "MultiplicativeNoise", "RingingOvershoot", "SaltAndPepper", "Sharpen",
    "ShotNoise", "Superpixels", "UnsharpMask", "ZoomBlur",
    # occlusion and weather
    "CoarseDropout", "Erasing", "GridDropout", "PixelDropout", "RandomFog", "RandomGravel",
    "RandomRain", "RandomShadow", "RandomSnow", "RandomSunFlare", "Spatter", "XYMasking",
)  # fmt: skip

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
