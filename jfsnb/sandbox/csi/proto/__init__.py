"""CSI messages."""
