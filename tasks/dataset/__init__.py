"""What all stages share about the dataset: paths, columns, selections, and reading an image.

paths        where every file of the pipeline is
columns      the columns of the manifests, and what they mean
manifests    reading the manifests
selections   selections of manifest rows, each by its name
variant_measures   what augmentation did to the images: by class, by operation, the worst
captions     a variant's operations and measures in a few words
raw_files    the files of data/raw, and which of them cannot be opened
dvc_ignore   which files of data/raw DVC versions
clutter      what is left beside images and counts for nothing
image_bytes  the bytes of one image, from a file of its own or from inside a container
dvc_remote   files of data/raw from the DVC remote, for workers without the folder
idx_format   the idx file format of MNIST
split_names  words in names that mean a split
"""
