"""Long-running services: the Prefect server, the schedule with its worker, and their processes."""
