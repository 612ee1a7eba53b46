"""What all gated layers share: executions, decisions, how they stand for a host."""
