"""Fill data/raw: the sample, archives, Parquet, torchvision's datasets, copies of a folder."""
