"""Label rules that follow from an audit: `augment.labels` as YAML to paste."""
