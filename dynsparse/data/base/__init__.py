"""Sources of examples, and the three of a data set."""
