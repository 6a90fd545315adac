"""Fill data/raw: the bundled sample, archives, torchvision's datasets, copies of a folder."""
