"""What to run: a file per task, and per method under methods/."""
