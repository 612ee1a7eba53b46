"""How a training meets its budget, instead of the method's own way. One per file."""
