"""`variegate predict`: what the trained model says of image files.

files    which files are meant, read and decoded in worker processes
predict  their classes and probabilities
"""
