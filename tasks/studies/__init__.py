"""Studies: questions asked of a dataset, beside the pipeline.

audit      which steps of the policy break labels
ablate     whether augmentation pays, and which group of steps does
tune       which policy, at which strength, pays best
trainings  the trainings of ablate and tune

What they share: statistics, groups and strengths of steps, and for their pages numbers in words,
charts and forest plots.
"""
