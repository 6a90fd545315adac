"""Image quality: what is measured of a variant, against its source."""
