"""Fill data/raw: the bundled sample, archives, Parquet, torchvision's datasets, copies of a folder."""
