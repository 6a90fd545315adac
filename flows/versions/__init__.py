"""Versions of the dataset in git and DVC: revisions, differences, merges, commits and pushes."""
