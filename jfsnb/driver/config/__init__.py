"""config.yaml: read as the driver reads it, merged, explained, edited."""
