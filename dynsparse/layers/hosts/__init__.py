"""Plain modules that models are made of and rules gate."""
