"""What the driver works out for a volume before it mounts it."""
