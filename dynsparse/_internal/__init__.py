"""Small helpers that several parts of the library share; nothing here is public."""
