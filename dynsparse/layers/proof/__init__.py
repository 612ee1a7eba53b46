"""The proof that a gated layer computes what its host computes."""
