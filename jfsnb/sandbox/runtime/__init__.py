"""Containers as processes in namespaces of their own."""
