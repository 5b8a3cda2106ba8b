"""Building an image without a container engine, in a node of the sandbox's own kind."""
