"""Which axes of a program are the same, operation by operation."""
