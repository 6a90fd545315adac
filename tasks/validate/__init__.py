"""Validate: decode every image once, quarantine what cannot be used and say why, split the rest.

measure          what decoding one image tells    lineage   what belongs together; leakage
isolation        decoders that crash or hang      split     train, validation, test
duplicates       equal bytes, equal pixels        checks    odd classes and images
near_duplicates  images that look the same        summary   metrics, warnings, failures
                                                  report    data/validated/report.html

Every image that ingest listed leaves with one status:

    ok            an image with a label and a split
    duplicate     its pixels stand in an `ok` row with the same label already (`duplicate_of` names it)
    quarantined   `reason` says why: see tasks/dataset/columns.py
"""
