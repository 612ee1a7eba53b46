"""Networks, small enough for pictures of 28x28 pixels. One per file."""
