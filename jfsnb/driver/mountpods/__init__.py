"""Mount Pods: what they are, whom they serve, and when they go."""
