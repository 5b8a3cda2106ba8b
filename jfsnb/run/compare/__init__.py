"""Part of a run: the old client and the new one side by side, on one volume and one node."""
