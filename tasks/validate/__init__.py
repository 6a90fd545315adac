"""Validate: decode every image once, quarantine what cannot be used and say why, split the rest.

measure          facts of each image, by decoding    split      train, validation, test
isolation        decoders that crash or hang         checks     odd classes and images
status           the table; ok and quarantined       summary    metrics, warnings, failures
related/         copies, look-alikes, lineages       report     data/validated/report.html

Every image that ingest listed leaves with one status:

    ok            an image with a label and a split
    duplicate     equal pixels with the same label are in an `ok` row (`duplicate_of` names it)
    quarantined   `reason` says why: see REASONS in tasks/dataset/columns.py
"""
