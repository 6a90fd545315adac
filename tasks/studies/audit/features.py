"""Features: what images are compared by, small contrast-normalised pixels or HOG and PCA."""
