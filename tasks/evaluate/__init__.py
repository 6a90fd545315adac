"""Evaluate: the model on the untouched test split, and the report.

params    what the user decides          report    what people look at: reports/index.html
metrics   numbers from labels and probabilities
"""
