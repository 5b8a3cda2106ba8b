"""What the five notebooks do: background, build, patch, deploy, verify; each part returns a frozen result."""
