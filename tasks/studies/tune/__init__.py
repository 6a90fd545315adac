"""Tuning: which policy, at which strength, pays best? The answer may be none.

space      what a trial may choose: a policy, its strength, how many variants
trials     Optuna's trials: asked in memory, told to SQLite
search     batches of trials, sorted out by affinity, halved over epochs and seeds
finalists  the best trial, `none` and the present policy, trained again on fresh seeds
answer     which of them to take, and why
tune       the search, then the finalists and the answer
page       reports/tune.html
"""
