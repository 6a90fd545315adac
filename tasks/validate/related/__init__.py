"""Related images: copies, look-alikes, and what belongs together by way of them.

duplicates       equal bytes, equal pixels
near_duplicates  images that look the same
lineage          what belongs together; leakage
"""
