"""Streams of kubectl exec, attach and port-forward."""
