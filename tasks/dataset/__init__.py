"""What every stage agrees on: paths, columns, selections of rows, how image bytes are read."""
