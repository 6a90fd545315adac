"""Ablation: does augmentation pay, and which group of steps does?

arms        none, each group of steps alone, all but each group, all, and TrivialAugment
seeds       how many trainings of each arm: as usual, or as fit into a time
comparison  each arm against none, over all validation images and over those of each class
verdicts    pays, does not pay, harms a class, too much, or undecided
ablate      all of it, in order
wording     the answer in sentences
page        reports/ablate.html
"""
