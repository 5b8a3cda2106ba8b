"""What objects must fulfil."""
