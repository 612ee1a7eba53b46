"""Units in the program of a host: found, and run in part."""
