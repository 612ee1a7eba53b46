"""Gating methods: what each adds to a task. One per file."""
