"""What the five notebooks do; each step returns a result object."""
