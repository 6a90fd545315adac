"""Ablation: does augmentation pay, and which group of steps does?

arms       none, each group of steps alone, all but each group, all, and TrivialAugment
verdicts   pays, does not pay, harms a class, too much, or undecided
ablate     all of it, in order
page       reports/ablate.html
"""
