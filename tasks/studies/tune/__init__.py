"""Tuning: which policy, at which strength, pays best? The answer may be none.

space      what a trial may choose: a policy, its strength, how many variants
search     Optuna's trials: asked, sorted out by affinity, halved over epochs and seeds
tune       the search, then the winner against `none` and the present policy on fresh seeds
page       reports/tune.html
"""
