"""Rules: from a pattern and a granularity to gated layers in a model."""
