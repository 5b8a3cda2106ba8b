"""Where a Pod runs."""
