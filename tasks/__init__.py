"""The five stages (ingest, validate, augment, train, evaluate) and what they stand on.

Nothing here imports prefect or dvc: a stage reads its block of params.yaml and a manifest, and writes a manifest.
"""
