"""Variants: what offline and on-the-fly augmentation share.

params      the augment block of params.yaml   policy              the policy, built and applied
sources     the training images to vary        transforms          those that a policy may use
recipe      what decides pixels and bytes      published_policies  TrivialAugment and others
make        one variant of a source            measures            what augmentation did to it
gates       bounds on measures                 similarity          of a variant and its source
"""
