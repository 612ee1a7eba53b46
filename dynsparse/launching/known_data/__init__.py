"""Data sets that are known by name: from what their makers publish to their sources."""
