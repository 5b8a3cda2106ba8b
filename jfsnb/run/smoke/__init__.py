"""The smoke Pod: its manifest, what it needs, and its way to Ready."""
