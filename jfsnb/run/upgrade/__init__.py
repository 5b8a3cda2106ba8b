"""Part of a run: the client of a running Mount Pod exchanged under load, and what the app saw of it."""
