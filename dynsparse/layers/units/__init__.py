"""Units: what of a host an example or a token runs."""
