"""What stays up: Prefect's server, the schedule and its worker, and the processes that they start."""
