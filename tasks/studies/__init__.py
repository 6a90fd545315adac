"""Studies: questions asked of a dataset, beside the pipeline. audit: which steps break labels."""
