"""Augment: the plan, the variants in their segments, and the ledger that accounts for each.

plan          how many variants a source gets   segments            cut and named by their content
reuse         what was made before; batches     segment_cache       kept in the private cache
expand        a batch of sources in,            committed_segments  those of the last commit
              finished sources out              tar_format          canonical tars
assemble      gathered into segments            segment_files       stored, where their bytes are
counts        counts.csv and the totals         contact_sheet       pictures, each with its caption

How one variant is made stands in tasks/variants, which on-the-fly augmentation shares.
"""
