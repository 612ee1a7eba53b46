"""Where the axes of a host's values lie, found in its own trace."""
