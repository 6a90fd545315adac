"""Apply a policy's steps: one interpolation and one rounding for each run of like steps."""
