"""What every stage agrees on: paths, columns, selections of rows, and how an image's bytes are read."""
