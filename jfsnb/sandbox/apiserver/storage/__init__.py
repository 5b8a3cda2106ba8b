"""Stored objects, lists and watches."""
