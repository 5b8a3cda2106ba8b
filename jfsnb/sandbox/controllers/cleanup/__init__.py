"""What ends objects: owners gone, namespaces ending, time."""
