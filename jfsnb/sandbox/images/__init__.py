"""Images: what a tag names, and the clients behind it."""
