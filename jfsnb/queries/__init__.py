"""Read-only questions over a cluster: mounts, verify, explain, doctor."""
