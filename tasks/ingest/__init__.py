"""Ingest: list every image under data/raw with its label, split and group.

read_files           reads and hashes each file once
tar_shards, idx      list the images inside containers
label_files          finds the files that label others
folder_labels        labels and splits from folders
tables/              labels from tables and lists
class_tars           tars that are named after the class that they hold
list_images          one image after another, files and members of containers
manifest_rows        the rows of the manifest
samples              images that belong together by their names, and which of them are used
findings             counts and notes for people

Nothing is decoded here and nothing but clutter is left out: validate judges what an image is.
"""
