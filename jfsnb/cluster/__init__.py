"""Talking to a cluster: connect, read, watch, follow logs, run commands, change. No decisions here."""
