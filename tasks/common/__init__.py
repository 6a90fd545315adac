"""What every stage stands on and that knows nothing of images: errors, parameters, tables, workers."""
