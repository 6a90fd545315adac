"""The evaluate stage: the model on the test split, which training never saw, and the report.

__main__  the stage: loads the model, predicts the test images, writes numbers and the report
params    the evaluate block of params.yaml
metrics   accuracy, F1, calibration and confusion, from true classes and probabilities
intervals  where a figure lies for other images of the same kind: 95% intervals
slices    accuracy by size, light, folder, group and near-duplicates
corruptions  noise, blur, light and compression at five severities
robustness   the accuracy on images with them
augmented_predictions  means over variants of a test image: test-time augmentation
nearest   the training images that the network finds most like a test image
mistakes  the worst wrong predictions, each with its nearest training image
report    reports/index.html: one page with its pictures in it
plots     its reliability diagram and its curves under corruptions
image_quality   its part on what augmentation did to the images
"""
