"""Patches and field ownership."""
