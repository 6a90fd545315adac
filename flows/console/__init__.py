"""What the commands print on a terminal: tables and sentences."""
