"""Networks that experiments measure, where the models of the library are too much."""
