"""Rows: examples, tokens, positions and fields that a host runs on."""
