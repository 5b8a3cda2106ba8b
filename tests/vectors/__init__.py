"""Every decision about the driver is held to the driver's own (comparing.py)."""
