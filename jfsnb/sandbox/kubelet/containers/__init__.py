"""One container of a Pod, from its spec to its end."""
