"""Ingest: list every image under data/raw with its label, split and group.

read_files      read and hash each file once    folder_labels  labels and splits from folders
tar_shards, idx list images inside containers   table_labels   labels from CSV, JSONL, Parquet, lists

Nothing is opened as an image here and nothing is left out: `validate` judges.
"""
