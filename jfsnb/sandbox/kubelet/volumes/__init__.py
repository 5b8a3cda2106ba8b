"""Volumes of Pods: what is in them, and how they get to where containers see them."""
