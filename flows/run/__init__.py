"""Run one stage in a child process through DVC, and pass on what it says to Prefect."""
