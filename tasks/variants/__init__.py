"""Variants: what offline and on-the-fly augmentation share.

params      the augment block of params.yaml     transforms          which transforms a policy may use
policy      the policy, built and applied        published_policies  TrivialAugment and others as steps
make        one variant from its recipe          sources             the training images to vary
"""
