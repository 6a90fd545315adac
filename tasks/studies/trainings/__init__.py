"""Trainings of a study: many of them, side by side, each kept once it is finished.

arm            what a training shows of each image: its original, or variants by some policy
data           the images of a study, from the training and validation splits alone
presentations  how often a study shows each image, as the train stage would
shown          which variant of an image an epoch shows
training       one training by the train stage's own loop, and what is kept of it
key            everything that decides what a training gives, as one hash
keeping        finished trainings in the private cache, by their keys
running        trainings in worker processes; those finished before are not run again
preload        what these processes are forked with
affinity       how well models trained on originals know validation images that a policy changed
budget         how many trainings fit into the minutes that a user gives
"""
