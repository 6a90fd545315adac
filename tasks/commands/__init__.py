"""What the command line does that no stage runs: forecast, warnings of a plan, verify, export."""
