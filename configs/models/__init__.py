"""Networks, small enough for images of 28x28 pixels. One per file."""
