"""Controllers that make Pods."""
