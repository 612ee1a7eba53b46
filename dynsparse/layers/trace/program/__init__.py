"""The program of a host: its steps, and how to run them again."""
