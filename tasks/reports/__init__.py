"""What all reports have in common: their frame, and how their templates are rendered."""
