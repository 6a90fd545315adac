"""What every stage uses and that knows nothing of images: errors, params, tables, progress."""
