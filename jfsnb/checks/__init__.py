"""Evidence and verdicts: one small function per check."""
