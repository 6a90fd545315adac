"""Page of an audit: reports/audit.html, self-contained, with plots over magnitude and pictures."""
