"""Early exits: examples that leave before the end."""
