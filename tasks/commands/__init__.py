"""The work behind commands that no stage runs: forecast, warnings, verify, replay, export."""
