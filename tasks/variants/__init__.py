"""Variants: what offline and on-the-fly augmentation share.

params        the augment block of params.yaml   policy              the policy, built and applied
sources       the training images to vary        transforms          those that a policy may use
recipe        what decides pixels and bytes      published_policies  TrivialAugment and others
label_rules   what classes' policies may do      label_checks        mistakes in label rules
step_ranges   what arguments of steps draw from  relabelling         which class a variant shows
make          one variant of a source            gates               bounds on measures
originals     what no variant may equal
"""
