"""The rules of `jfsnb doctor`, over one snapshot of the cluster."""
