"""Rows in the program of a host: examples and tokens."""
