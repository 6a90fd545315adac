"""Lint: what in a policy and a plan spoils images or does nothing, and what to write instead.

lint          all rules over a plan             findings      a finding; warn, fail or off
policy_rules  steps that go badly together      step_rules    steps that do not suit the images
area_rules    small crops, holes and borders    count_rules   too many variants, untouched ones
storage_rules encoding and the depth of pixels  sample_rules  what a few variants look like
order         what comes before what in a policy
samples       a variant made for sample_rules
relabelling_rules  targets of classes whose variants show others, maps that leave a class out
backgrounds   whether images have the colour of a border anyway
"""
