"""The evaluate stage: the model on the test split, which training never saw, and the report.

__main__  the stage: loads the model, predicts the test images, writes numbers and the report
params    the evaluate block of params.yaml
metrics   accuracy, F1, calibration and confusion, from true labels and probabilities
report    reports/index.html: one page with its pictures in it
image_quality   its part on what augmentation did to the images
"""
