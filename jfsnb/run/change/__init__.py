"""What a run changes in a cluster: each kind of change can be described, done, undone, and seen undone."""
