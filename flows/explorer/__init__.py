"""Web pages of the dataset: every image, its variants, and what became of them; on loopback."""
