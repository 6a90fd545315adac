"""Commands that no stage runs: forecast a plan and warn of it, verify, export."""
