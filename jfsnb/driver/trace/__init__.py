"""CSI calls read back from the driver's logs."""
