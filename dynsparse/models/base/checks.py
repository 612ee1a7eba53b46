"""Values that a model accepts."""


def check_positive(**values: int):
    """Raises a ValueError that names a value below 1."""
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"model: {name} must be at least 1, got {value}.")
