"""Trainings of a study: many of them, side by side, each kept once it is finished.

arm        what a training shows of each image: its original, or variants by some policy
training   one training by the train stage's own loop, and what is kept of it
data       the images of a study, from the training and validation splits alone
running    trainings in worker processes; those finished before are not run again
affinity   how well models trained on originals know validation images that a policy changed
budget     how many trainings fit into the minutes that a user gives
"""
