"""The work behind commands that no stage runs: forecast, preview, verify, export."""
