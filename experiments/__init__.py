"""What to ask: one file per experiment, with its claim, its sweep and its report."""
