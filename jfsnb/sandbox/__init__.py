"""A small Kubernetes on loopback whose containers are real processes and whose JuiceFS mounts are real."""
