"""What a run keeps in its folder: checkpoints, metrics, and TensorBoard's view."""
