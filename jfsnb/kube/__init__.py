"""Talking to a cluster: connect, list, watch, logs, exec, apply, permissions."""
