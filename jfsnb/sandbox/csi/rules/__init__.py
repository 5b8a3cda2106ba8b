"""What the sandbox's driver decides; pure."""
