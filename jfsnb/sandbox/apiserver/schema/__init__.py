"""Kinds as data."""
