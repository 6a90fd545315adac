"""Related images: copies, look-alikes, and what belongs together by way of them.

duplicates       equal bytes, equal pixels
near_duplicates  images that look the same, as they are, mirrored or turned
close_hashes     pairs of images whose perceptual hashes are close
symmetries       pictures mirrored and turned, and their hashes
sequences        frames of films, by their names and their looks
lineage          what belongs together; leakage
"""
