"""One stage in a child process through DVC, its events reported to Prefect."""
