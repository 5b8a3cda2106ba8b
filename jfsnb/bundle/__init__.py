"""A snapshot written down: a zip file that people can read, and that answers the questions anywhere, at any time."""
